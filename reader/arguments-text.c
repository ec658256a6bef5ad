/* SPDX-License-Identifier: MIT */
/* Values as the file "arguments" says they are shown. Nothing that a traced program passes reaches the terminal raw. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/arguments-internal.h"

#define MAX_TEXT	96u	/* bytes of a string that are shown */

struct text {
	char *buf;
	size_t size, len;
};

static void put_char(struct text *t, char c)
{
	if (t->len + 1 < t->size)
		t->buf[t->len] = c;
	t->len++;
}

static void put(struct text *t, const char *s)
{
	while (*s)
		put_char(t, *s++);
}

static void putf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void putf(struct text *t, const char *format, ...)
{
	char buf[128];
	va_list args;

	va_start(args, format);
	vsnprintf(buf, sizeof(buf), format, args);
	va_end(args);
	put(t, buf);
}

/* ---- letters ---- */

/* Bytes of the UTF-8 letter at @s that may be shown, 0: it is none, or one that steers a terminal. */
static size_t utf8(const unsigned char *s, size_t n)
{
	size_t len = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

	if (!len || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Control characters; longer forms of shorter ones, surrogates, and what lies behind the last. */
	if ((s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return len;
}

static void put_escaped(struct text *t, unsigned char c, char quote)
{
	static const char from[] = "\n\t\r\a\b\f\v\033", to[] = "ntrabfve";
	const char *known = c ? memchr(from, c, sizeof(from) - 1) : NULL;

	if (c == quote || c == '\\') {
		put_char(t, '\\');
		put_char(t, (char)c);
	} else if (known) {
		put_char(t, '\\');
		put_char(t, to[known - from]);
	} else if (!c) {
		put(t, "\\0");
	} else if (c < ' ' || c >= 0x7f) {
		putf(t, "\\x%02x", c);
	} else {
		put_char(t, (char)c);
	}
}

/* @more: there was more of it than is here. */
static void put_string(struct text *t, const char *string, size_t n, int more)
{
	const unsigned char *s = (const unsigned char *)string;
	size_t shown = n > MAX_TEXT ? MAX_TEXT : n;

	put_char(t, '"');
	for (size_t i = 0, len; i < shown; i += len) {
		len = utf8(s + i, n - i);
		for (size_t j = 0; j < len; j++)
			put_char(t, (char)s[i + j]);
		if (!len) {
			put_escaped(t, s[i], '"');
			len = 1;
		}
	}
	put_char(t, '"');
	if (more || shown < n)
		put(t, "...");
}

static void put_letter(struct text *t, uint64_t c, unsigned size)
{
	char code[5] = { 0 };

	if (size == 4 && c > 0xff && c < 0x110000 && (c < 0xd800 || c > 0xdfff)) {
		code[0] = (char)(c < 0x800 ? 0xc0 | c >> 6 : c < 0x10000 ? 0xe0 | c >> 12 : 0xf0 | c >> 18);
		if (c >= 0x10000)
			code[1] = (char)(0x80 | (c >> 12 & 63));
		if (c >= 0x800)
			code[strlen(code)] = (char)(0x80 | (c >> 6 & 63));
		code[strlen(code)] = (char)(0x80 | (c & 63));
		putf(t, "'%s'", code);
	} else if (c > 0xff) {
		putf(t, "%" PRId32, (int32_t)c);
	} else {
		put_char(t, '\'');
		put_escaped(t, (unsigned char)c, '\'');
		put_char(t, '\'');
	}
}

/* ---- numbers ---- */

/* The shortest that reads back as the same. */
static void put_float(struct text *t, double value, unsigned size)
{
	char buf[40];
	int digits = size == 4 ? 6 : 15;

	for (; digits <= (size == 4 ? 9 : 17); digits++) {
		snprintf(buf, sizeof(buf), "%.*g", digits, value);
		if (size == 4 ? strtof(buf, NULL) == (float)value : strtod(buf, NULL) == value)
			break;
	}
	put(t, isnan(value) ? "nan" : buf);
}

/* x87: a mantissa with its leading one, if it is not denormal, and sign and exponent. */
static void put_long_double(struct text *t, uint64_t mantissa, uint64_t high)
{
	unsigned exponent = high & 0x7fff;
	long double value;

	if (high & 0x8000)
		put_char(t, '-');
	if (exponent == 0x7fff) {
		put(t, mantissa << 1 ? "nan" : "inf");
		return;
	}
	value = ldexpl((long double)mantissa, (int)(exponent ? exponent : 1) - 16383 - 63);
	putf(t, "%.18Lg", value);
}

static void put_wide(struct text *t, uint64_t low, uint64_t high, int is_signed)
{
	unsigned __int128 n = (unsigned __int128)high << 64 | low;
	char buf[48], *p = buf + sizeof(buf) - 1;

	if (is_signed && high >> 63) {
		put_char(t, '-');
		n = -n;
	}
	*p = 0;
	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	put(t, p);
}

static uint64_t low_bits(uint64_t value, unsigned bits)
{
	return bits < 64 ? value & ((1ull << bits) - 1) : value;
}

static int64_t sign_extend(uint64_t value, unsigned bits)
{
	return bits && bits < 64 ? (int64_t)(value << (64 - bits)) >> (64 - bits) : (int64_t)value;
}

static void put_enum(struct text *t, const struct arguments_enum *e, uint64_t value, unsigned bits)
{
	uint64_t seen = 0, rest = low_bits(value, bits);
	int any_part = 0, n = 0;

	for (size_t i = 0; e && i < e->n; i++) {
		any_part |= e->names[i].mask != ~0ull;
		if (e->names[i].mask == ~0ull && !low_bits(value ^ e->names[i].value, bits)) {
			put(t, e->names[i].name);
			return;
		}
	}
	for (size_t i = 0; any_part && i < e->n; i++) {
		const struct proto_name *name = &e->names[i];
		uint64_t mask = low_bits(name->mask, bits);

		if (name->mask == ~0ull || (seen & mask) || low_bits(value, bits) != (low_bits(value, bits) | name->value) ||
		    (value & mask) != name->value)
			continue;
		put(t, n++ ? "|" : "");
		put(t, name->name);
		seen |= mask;
		rest &= ~mask;
	}
	if (any_part && (rest || !n))
		putf(t, rest ? "%s0x%" PRIx64 : "%s%" PRIx64, n ? "|" : "", rest);
	else if (!any_part)
		putf(t, "%" PRId64, sign_extend(value, bits));
}

/* ---- a value ---- */

/* "FIELD:KIND..." taken apart. */
struct place {
	char field[48];
	char kind;
	unsigned bits, shift;		/* bits 0: all of it */
	const char *more;		/* behind a comma; NULL */
	char other[48];			/* the same as a word */
};

static int parse_place(const char *s, const char *end, struct place *p)
{
	const char *colon = memchr(s, ':', (size_t)(end - s)), *comma;
	char *rest;

	memset(p, 0, sizeof(*p));
	if (!colon || (size_t)(colon - s) >= sizeof(p->field) || colon + 1 == end)
		return -1;
	memcpy(p->field, s, (size_t)(colon - s));
	p->kind = colon[1];
	if (isdigit((unsigned char)colon[2])) {
		p->bits = (unsigned)strtoul(colon + 2, &rest, 10);
		p->shift = *rest == '@' ? (unsigned)strtoul(rest + 1, NULL, 10) : 0;
	}
	comma = memchr(colon, ',', (size_t)(end - colon));
	if (comma && (size_t)(end - comma) <= sizeof(p->other))
		memcpy(p->other, comma + 1, (size_t)(end - comma - 1));
	p->more = comma ? p->other : NULL;
	return p->bits > 64 || p->shift > 63 ? -1 : 0;
}

static const struct trace_value *find(const struct trace_event *event, const char *name)
{
	for (size_t i = 0; i < event->nvalues; i++)
		if (!strcmp(event->values[i].field->name, name))
			return &event->values[i];
	return NULL;
}

/* The bits of @v, a float's as well. */
static uint64_t bits_of(const struct trace_value *v)
{
	uint64_t bits = v->u;
	float f = (float)v->f;
	uint32_t narrow;

	if (v->field->type != TRACE_FIELD_FLOAT)
		return bits;
	if (v->field->size == 4) {
		memcpy(&narrow, &f, sizeof(narrow));
		return narrow;
	}
	memcpy(&bits, &v->f, sizeof(bits));
	return bits;
}

static void put_real(struct text *t, const struct trace_value *v, const struct place *p, uint64_t bits)
{
	unsigned size = p->bits ? p->bits / 8 : v->field->size;
	uint32_t narrow = (uint32_t)bits;
	double d;
	float f;

	if (!p->bits && v->field->type == TRACE_FIELD_FLOAT) {
		put_float(t, v->f, size);
	} else if (size == 4) {
		memcpy(&f, &narrow, sizeof(f));
		put_float(t, f, 4);
	} else {
		memcpy(&d, &bits, sizeof(d));
		put_float(t, d, 8);
	}
}

static void put_text_and_length(struct text *t, const struct trace_event *event, const struct trace_value *v,
				const struct place *p)
{
	size_t n = v->string ? strlen(v->string) : 0;
	const struct trace_value *length = p->more && *p->more != '#' ? find(event, p->more) : NULL;
	uint64_t most = !p->more ? n : *p->more == '#' ? strtoull(p->more + 1, NULL, 10) : length ? length->u : n;

	if (length && length->fault)
		put(t, "(fault)");
	else if (v->fault && most)
		put(t, "(fault)");
	else if (length)
		/* A zero inside ends what was fetched. */
		put_string(t, v->string ? v->string : "", most < n ? most : n, most > n);
	else
		put_string(t, v->string ? v->string : "", most < n ? most : n, 0);
}

static void put_pointed_text(struct text *t, const struct trace_event *event, const struct trace_value *v,
			     const struct place *p)
{
	const struct trace_value *pointer = p->more ? find(event, p->more) : NULL;
	size_t n = v->string ? strlen(v->string) : 0;

	if (pointer && !pointer->fault && !pointer->u)
		put(t, "NULL");
	else if (v->fault && pointer && !pointer->fault)
		putf(t, "0x%" PRIx64 " (fault)", pointer->u);
	else if (v->fault)
		put(t, "(fault)");
	else
		put_string(t, v->string ? v->string : "", n, n + 1 >= FTRACE_EVENT_MAX_STRING);
}

static void put_function(struct text *t, const struct trace_event *event, uint64_t address, int raw)
{
	char name[512];

	if (!address)
		put(t, "NULL");
	else if (event->process->map)
		put(t, trace_map_symbol(event->process->map, address, raw, name, sizeof(name)));
	else
		putf(t, "0x%" PRIx64, address);
}

static void put_value(struct text *t, const struct trace_arguments *args, const struct trace_event *event, int raw,
		      const struct place *p)
{
	const struct trace_value *v = find(event, p->field), *other;
	uint64_t bits;

	if (!v) {
		put_char(t, '?');
		return;
	}
	if (p->kind == 's' || p->kind == 'S') {
		(p->kind == 's' ? put_pointed_text : put_text_and_length)(t, event, v, p);
		return;
	}
	other = p->more && strchr("IUL", p->kind) ? find(event, p->more) : NULL;
	if (v->fault || (other && other->fault)) {
		put(t, "(fault)");
		return;
	}
	bits = bits_of(v);
	if (p->bits)
		bits = low_bits(bits >> p->shift, p->bits);
	switch (p->kind) {
	case 'd':
		putf(t, "%" PRId64, sign_extend(bits, p->bits));
		break;
	case 'u':
		putf(t, "%" PRIu64, bits);
		break;
	case 'x':
		putf(t, bits ? "0x%" PRIx64 : "%" PRIx64, bits);
		break;
	case 'o':
		putf(t, bits ? "0%" PRIo64 : "%" PRIo64, bits);
		break;
	case 'c':
		put_letter(t, bits, p->bits ? p->bits / 8 : v->field->size);
		break;
	case 'b':
		if (bits > 1)
			putf(t, "%" PRIu64, bits);
		else
			put(t, bits ? "true" : "false");
		break;
	case 'f':
		put_real(t, v, p, bits);
		break;
	case 'p':
		if (bits)
			putf(t, "0x%" PRIx64, bits);
		else
			put(t, "NULL");
		break;
	case 'y':
		put_function(t, event, bits, raw);
		break;
	case 'e':
		put_enum(t, arguments_enum(args, p->more ? strtoul(p->more, NULL, 10) : 0), bits, p->bits ? p->bits : 64);
		break;
	case 'I':
	case 'U':
		put_wide(t, bits, other ? other->u : 0, p->kind == 'I');
		break;
	case 'L':
		put_long_double(t, bits, other ? other->u : 0);
		break;
	default:
		put_char(t, '?');
	}
}

/* ---- the whole ---- */

/* "FIELD&MASK:" */
static int holds(const struct trace_event *event, const char *s, const char *end)
{
	const char *and = memchr(s, '&', (size_t)(end - s));
	const struct trace_value *v;
	char name[48] = "";

	if (!and || (size_t)(and - s) >= sizeof(name))
		return 1;
	memcpy(name, s, (size_t)(and - s));
	v = find(event, name);
	return v && (v->u & strtoull(and + 1, NULL, 16));
}

/* What stands at @s, behind a '%'; returns what follows. */
static const char *directive(struct text *t, const struct trace_arguments *args, const struct trace_event *event,
			     int raw, const char *s)
{
	const char *end = s + strcspn(s, *s == '{' ? "}" : ":");
	struct place place;

	switch (*s) {
	case '{':
		if (parse_place(s + 1, end, &place))
			put_char(t, '?');
		else
			put_value(t, args, event, raw, &place);
		return *end ? end + 1 : end;
	case '[':
		if (!holds(event, s + 1, end)) {
			end = strstr(s, "%]");
			return end ? end + 2 : s + strlen(s);
		}
		return *end ? end + 1 : end;
	case ']':
		return s + 1;
	}
	put_char(t, '%');
	return s;
}

size_t trace_arguments_text(const struct trace_arguments *args, const struct trace_event *event, int raw, char *buf,
			    size_t size)
{
	const struct arguments_call *call = arguments_call(args, event);
	struct text t = { buf, size, 0 };

	for (const char *s = call ? call->text : ""; *s;) {
		/* A name of a member may hold anything, as the file was written by anybody. */
		if (*s == '%')
			s = directive(&t, args, event, raw, s + 1);
		else if ((unsigned char)*s < ' ' || *s == 0x7f)
			{
			put_char(&t, '?');
			s++;
		}
		else
			put_char(&t, *s++);
	}
	if (size)
		buf[t.len < size ? t.len : size - 1] = 0;
	return t.len;
}
