/* SPDX-License-Identifier: MIT */
/* ftrace report --events: how often each event happened, and the values of its integer fields. */
#include "cmd/report-events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/color.h"
#include "cmd/format.h"
#include "reader/events.h"

struct field {
	char *name;
	bool is_signed;
	uint64_t values, faults;
	__int128 min, max, sum;
};

/* An event of all processes: by group, name and kind. */
struct counted {
	char *group, *name;
	char kind;
	uint64_t count;
	struct field *fields;
	size_t nfields;
};

struct counts {
	struct counted *events;
	size_t n;
	uint64_t lost, incomplete;
};

static bool is_integer(const struct trace_field *f)
{
	return (f->type == TRACE_FIELD_UNSIGNED || f->type == TRACE_FIELD_SIGNED || f->type == TRACE_FIELD_HEX ||
		f->type == TRACE_FIELD_CHAR) && !f->count && f->size;
}

static struct counted *find(struct counts *c, const struct trace_event_class *class)
{
	struct counted *e;

	for (size_t i = 0; i < c->n; i++) {
		e = &c->events[i];
		if (e->kind == class->kind && !strcmp(e->name, class->name) && !strcmp(e->group, class->group))
			return e;
	}
	e = realloc(c->events, (c->n + 1) * sizeof(*e));
	if (!e)
		return NULL;
	c->events = e;
	e += c->n;
	*e = (struct counted){ .group = strdup(class->group), .name = strdup(class->name), .kind = class->kind };
	if (!e->group || !e->name)
		return NULL;
	c->n++;
	return e;
}

static struct field *find_field(struct counted *e, const struct trace_field *f)
{
	struct field *field;

	for (size_t i = 0; i < e->nfields; i++)
		if (!strcmp(e->fields[i].name, f->name))
			return &e->fields[i];
	field = realloc(e->fields, (e->nfields + 1) * sizeof(*field));
	if (!field)
		return NULL;
	e->fields = field;
	field += e->nfields;
	*field = (struct field){ .name = strdup(f->name), .is_signed = f->type == TRACE_FIELD_SIGNED };
	if (!field->name)
		return NULL;
	e->nfields++;
	return field;
}

static int add_value(struct counted *e, const struct trace_value *v)
{
	struct field *f = find_field(e, v->field);
	__int128 x;

	if (!f)
		return -1;
	if (v->fault) {
		f->faults++;
		return 0;
	}
	x = f->is_signed ? (__int128)(int64_t)v->u : (__int128)v->u;
	if (!f->values || x < f->min)
		f->min = x;
	if (!f->values || x > f->max)
		f->max = x;
	f->sum += x;
	f->values++;
	return 0;
}

static int add(struct counts *c, const struct trace_event *event)
{
	struct counted *e;

	if (event->state == TRACE_EVENT_LOST)
		c->lost += event->lost ? event->lost : 1;
	if (event->state == TRACE_EVENT_INCOMPLETE)
		c->incomplete++;
	if (event->state != TRACE_EVENT_WHOLE || !event->class || event->class->kind == 's')
		return 0;
	e = find(c, event->class);
	if (!e)
		return -1;
	e->count++;
	for (size_t i = 0; i < event->nvalues; i++)
		if (is_integer(event->values[i].field) && add_value(e, &event->values[i]))
			return -1;
	return 0;
}

static int most_first(const void *a, const void *b)
{
	const struct counted *x = a, *y = b;
	int order;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	order = strcmp(x->group, y->group);
	return order ? order : strcmp(x->name, y->name);
}

/* All values fit into 64 bits of one kind or the other; so does their average. */
static void print_number(const struct field *f, __int128 x)
{
	if (f->is_signed)
		printf("%" PRId64, (int64_t)x);
	else
		printf("%" PRIu64, (uint64_t)x);
}

static void print_values(const struct field *f, const char *const names[3])
{
	const __int128 values[] = { f->min, f->values ? f->sum / (__int128)f->values : 0, f->max };

	for (int i = 0; i < 3; i++) {
		fputs(names[i], stdout);
		if (f->values)
			print_number(f, values[i]);
	}
}

static void print_table(const struct counts *c, size_t n)
{
	static const char *const names[] = { "  min ", "  avg ", "  max " };

	printf("%s#   COUNT  EVENT%s\n", cmd_color(COLOR_DIM), cmd_color(COLOR_NONE));
	for (size_t i = 0; i < n; i++) {
		const struct counted *e = &c->events[i];

		printf("%9" PRIu64 "  %s%s:%s%s\n", e->count, cmd_color(COLOR_NAME), e->group, e->name, cmd_color(COLOR_NONE));
		for (size_t k = 0; k < e->nfields; k++) {
			printf("%13s%s", "", e->fields[k].name);
			if (e->fields[k].values)
				print_values(&e->fields[k], names);
			if (e->fields[k].faults)
				printf("  (fault) %" PRIu64, e->fields[k].faults);
			putchar('\n');
		}
	}
	if (n < c->n)
		printf("%s# %zu more events%s\n", cmd_color(COLOR_DIM), c->n - n, cmd_color(COLOR_NONE));
	if (c->lost || c->incomplete)
		printf("%s# LOST %" PRIu64 " EVENTS, %" PRIu64 " MORE INCOMPLETE: counts are too low%s\n", cmd_color(COLOR_LOST),
		       c->lost, c->incomplete, cmd_color(COLOR_NONE));
}

/* A line a field, one without for the event itself. */
static void print_csv(const struct counts *c, size_t n)
{
	static const char *const names[] = { ",", ",", "," };

	puts("event,count,field,faults,min,avg,max");
	for (size_t i = 0; i < n; i++) {
		const struct counted *e = &c->events[i];

		format_csv(stdout, e->group);
		putchar(':');
		format_csv(stdout, e->name);
		printf(",%" PRIu64 ",,,,,\n", e->count);
		for (size_t k = 0; k < e->nfields; k++) {
			printf("%s:%s,%" PRIu64 ",%s,%" PRIu64, e->group, e->name, e->fields[k].values + e->fields[k].faults,
			       e->fields[k].name, e->fields[k].faults);
			print_values(&e->fields[k], names);
			putchar('\n');
		}
	}
}

static void print_json(const struct counts *c, size_t n)
{
	static const char *const names[] = { ", \"min\": ", ", \"avg\": ", ", \"max\": " };

	printf("{\n  \"version\": 1,\n  \"lost\": %" PRIu64 ",\n  \"incomplete\": %" PRIu64 ",\n  \"events\": [", c->lost,
	       c->incomplete);
	for (size_t i = 0; i < n; i++) {
		const struct counted *e = &c->events[i];

		printf("%s\n    {\"group\": ", i ? "," : "");
		format_json(stdout, e->group);
		fputs(", \"name\": ", stdout);
		format_json(stdout, e->name);
		printf(", \"count\": %" PRIu64 ", \"fields\": [", e->count);
		for (size_t k = 0; k < e->nfields; k++) {
			printf("%s{\"name\": ", k ? ", " : "");
			format_json(stdout, e->fields[k].name);
			printf(", \"values\": %" PRIu64 ", \"faults\": %" PRIu64, e->fields[k].values, e->fields[k].faults);
			if (e->fields[k].values)
				print_values(&e->fields[k], names);
			putchar('}');
		}
		fputs("]}", stdout);
	}
	puts("\n  ]\n}");
}

static void free_counts(struct counts *c)
{
	for (size_t i = 0; i < c->n; i++) {
		for (size_t k = 0; k < c->events[i].nfields; k++)
			free(c->events[i].fields[k].name);
		free(c->events[i].fields);
		free(c->events[i].group);
		free(c->events[i].name);
	}
	free(c->events);
}

int report_events(struct trace_recording *recording, const struct trace_select *select, enum report_form form,
		  uint64_t limit)
{
	struct trace_events *events = trace_events_open(recording, NULL, select);
	struct trace_event event;
	struct counts c = { 0 };
	int err = events ? 0 : -1;
	size_t n;

	while (!err && trace_events_next(events, &event))
		err = add(&c, &event);
	trace_events_close(events);
	if (!err) {
		if (c.n)
			qsort(c.events, c.n, sizeof(*c.events), most_first);
		n = c.n < limit ? c.n : limit;
		if (form == REPORT_JSON)
			print_json(&c, n);
		else if (form == REPORT_CSV)
			print_csv(&c, n);
		else
			print_table(&c, n);
	}
	free_counts(&c);
	return err;
}
