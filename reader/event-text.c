/* SPDX-License-Identifier: MIT */
/* Events in words. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "reader/events.h"

struct text {
	char *buf;
	size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->len < t->size ? t->buf + t->len : NULL, t->len < t->size ? t->size - t->len : 0,
		      fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += n;
}

static void put_escaped(struct text *t, unsigned char c, char quote)
{
	static const char letters[] = "abtnvfr";

	if (c >= 7 && c <= 13)
		put(t, "\\%c", letters[c - 7]);
	else if (c == '\\' || c == (unsigned char)quote)
		put(t, "\\%c", c);
	else if (c < ' ' || c == 0x7f)
		put(t, "\\%03o", c);
	else
		put(t, "%c", c);
}

static void put_string(struct text *t, const char *s)
{
	put(t, "\"");
	for (; *s; s++)
		put_escaped(t, *s, '"');
	put(t, "\"");
}

static void put_scalar(struct text *t, const struct trace_value *v, const struct trace_map *map, int raw)
{
	char symbol[512];

	if (v->fault) {
		put(t, "(fault)");
		return;
	}
	switch (v->field->type) {
	case TRACE_FIELD_UNSIGNED:
		put(t, "%llu", (unsigned long long)v->u);
		break;
	case TRACE_FIELD_SIGNED:
		put(t, "%lld", (long long)v->u);
		break;
	case TRACE_FIELD_HEX:
		put(t, "0x%llx", (unsigned long long)v->u);
		break;
	case TRACE_FIELD_CHAR:
		put(t, "'");
		put_escaped(t, v->u, '\'');
		put(t, "'");
		break;
	case TRACE_FIELD_FLOAT:
		put(t, "%.*g", v->field->size == 4 ? 9 : 17, v->f);
		break;
	case TRACE_FIELD_SYMBOL:
		put(t, "%s", trace_map_symbol(map, v->u, raw, symbol, sizeof(symbol)));
		break;
	case TRACE_FIELD_STRING:
		put_string(t, v->string);
		break;
	}
}

static void put_value(struct text *t, const struct trace_value *v, const struct trace_map *map, int raw)
{
	struct trace_value element;

	if (!v->field->count || v->fault) {
		put_scalar(t, v, map, raw);
		return;
	}
	put(t, "{");
	for (unsigned i = 0; i < v->field->count; i++) {
		trace_element(v, i, &element);
		if (i)
			put(t, ",");
		put_scalar(t, &element, map, raw);
	}
	put(t, "}");
}

size_t trace_value_text(const struct trace_value *value, const struct trace_map *map, int raw,
			char *buf, size_t size)
{
	struct text t = { buf, size, 0 };

	if (size)
		*buf = 0;
	put_value(&t, value, map, raw);
	return t.len;
}

size_t trace_event_text(const struct trace_event *event, int raw, char *buf, size_t size)
{
	const struct trace_event_class *class = event->class;
	const struct trace_map *map = event->process ? event->process->map : NULL;
	struct text t = { buf, size, 0 };
	char symbol[512];

	if (size)
		*buf = 0;
	if (event->state == TRACE_EVENT_LOST) {
		if (event->lost)
			put(&t, "[LOST %llu events with values]", (unsigned long long)event->lost);
		else
			put(&t, "[LOST events with values]");
		return t.len;
	}
	if (!class) {
		put(&t, "[unknown event %u]", event->id);
		return t.len;
	}
	if (class->kind == 's' && event->state == TRACE_EVENT_WHOLE) {
		put(&t, "<stack trace>");
		for (size_t i = 0; i < event->nstack; i++)
			put(&t, "%s%s", i ? " <- " : " ",
			    trace_map_symbol(map, event->stack[i], raw, symbol, sizeof(symbol)));
		return t.len;
	}
	put(&t, "%s:%s:", class->group, class->name);
	if (event->state == TRACE_EVENT_INCOMPLETE) {
		put(&t, " [interrupted while it was recorded]");
		return t.len;
	}
	put(&t, " (%s", trace_map_symbol(map, event->ip, raw, symbol, sizeof(symbol)));
	if (class->kind == 'r')
		put(&t, " <- %s", trace_map_name(map, event->site, raw));
	put(&t, ")");
	for (size_t i = 0; i < event->nvalues; i++) {
		put(&t, " %s=", event->values[i].field->name);
		put_value(&t, &event->values[i], map, raw);
	}
	return t.len;
}
