/* SPDX-License-Identifier: MIT */
/*
 * What is fetched of a value, and how it is shown: its type and its place become fields of an event and a text with
 * places for them. Values that share a register, as small structures do, are taken out of the
 * register's field when they are shown; what is in memory is fetched member by member.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "prototype/prototype.h"

#define MAX_FIELDS	32	/* of an event: FTRACE_EVENT_MAX_ARGS */
#define MAX_TEXT	3600	/* bytes of their definitions */
#define MAX_NAME	24	/* letters of a field's name, before it is made unique */
#define MAX_MEMBERS	16	/* of a structure that are shown */
#define MAX_ELEMENTS	8	/* of an array */
#define MAX_DEPTH	4	/* of structures in structures */

struct builder {
	const struct proto_abi *abi;
	struct proto_arena *arena;
	struct proto_enums *enums;
	FILE *fetch, *shown;
	char *names[MAX_FIELDS];
	unsigned n;
};

/* Where a value is. */
struct access {
	const char *base;			/* in memory: fetch argument of the address; NULL: in registers */
	int64_t offset;				/* bytes from it; or bits of the value in the registers before it */
	const struct proto_location *regs;
	char *raw[2];				/* fields of whole registers, made when first needed */
	const char *raw_name;
	bool whole;				/* the value is all that is there */
};

/* ---- fields ---- */

static bool is_taken(const struct builder *b, const char *name)
{
	for (unsigned i = 0; i < b->n; i++)
		if (!strcmp(b->names[i], name))
			return true;
	return false;
}

/* A field called after @name and @suffix that gives @fetch as @type. NULL: there are too many. */
static char *add_field(struct builder *b, const char *name, const char *suffix, const char *fetch, const char *type)
{
	char *field = proto_alloc(b->arena, MAX_NAME + 16);
	size_t len = 0;

	if (b->n == MAX_FIELDS || ftell(b->fetch) > MAX_TEXT)
		return NULL;
	/* Every event has fields of its own that begin so. */
	if (isdigit((unsigned char)*name) || !strncmp(name, "__probe", 7) || !strncmp(name, "common_", 7))
		field[len++] = '_';
	for (; *name && len < MAX_NAME; name++)
		field[len++] = isalnum((unsigned char)*name) ? *name : '_';
	strcpy(field + len, suffix);
	len = strlen(field);
	for (unsigned i = 2; is_taken(b, field); i++)
		sprintf(field + len, "_%u", i);
	fprintf(b->fetch, "%s%s=%s:%s", b->n ? " " : "", field, fetch, type);
	b->names[b->n++] = field;
	return field;
}

/* The address-sized word that is at @a, as a fetch argument; NULL: it shares a register. */
static const char *word_at(struct builder *b, const struct access *a, int64_t byte)
{
	if (a->base)
		return proto_format(b->arena, "%+lld(%s)", (long long)(a->offset + byte), a->base);
	for (unsigned i = 0; i < a->regs->n; i++) {
		const struct proto_piece *p = &a->regs->piece[i];

		if (p->place != PROTO_IN_FP && p->at * 8ll == a->offset + byte * 8)
			return p->fetch;
	}
	return NULL;
}

/* The raw field of the register that holds bit @bit of the value; *@low: which of its bits that is, of @bits. */
static const char *raw_field(struct builder *b, struct access *a, int64_t bit, unsigned bits, unsigned *low)
{
	for (unsigned i = 0; i < a->regs->n; i++) {
		const struct proto_piece *p = &a->regs->piece[i];
		int64_t first = p->at * 8ll, size = p->size ? p->size * 8 : 64;

		if (bit < first || bit + bits > first + size)
			continue;
		*low = (unsigned)(proto_abi_big_endian(b->abi) ? first + size - bit - bits : bit - first);
		if (!a->raw[i])
			a->raw[i] = add_field(b, a->raw_name, a->regs->n > 1 ? (i ? "_hi" : "_lo") : "", p->fetch,
					      p->place == PROTO_IN_FP ? "f64" : proto_abi_word(b->abi) == 8 ? "x64" : "x32");
		return *low < 64 && bits <= 64 ? a->raw[i] : NULL;
	}
	return NULL;
}

/* ---- scalars ---- */

static unsigned enum_number(struct builder *b, struct proto_enum *e)
{
	struct proto_enums *all = b->enums;

	if (e->number)
		return e->number;
	if (all->n == all->capacity) {
		size_t capacity = all->capacity ? all->capacity * 2 : 64;
		struct proto_enum **list = reallocarray(all->list, capacity, sizeof(*list));

		if (!list)
			return 0;
		all->list = list;
		all->capacity = capacity;
	}
	all->list[all->n++] = e;
	e->number = (unsigned)all->n;
	return e->number;
}

static char letter_of(const struct proto_type *t)
{
	switch (t->kind) {
	case PROTO_BOOL:
		return 'b';
	case PROTO_CHAR:
		return 'c';
	case PROTO_OCTAL:
		return 'o';
	case PROTO_HEX:
		return 'x';
	case PROTO_FLOAT:
		return 'f';
	case PROTO_ENUM:
		return t->enumeration ? 'e' : t->is_signed ? 'd' : 'u';
	case PROTO_CODE:
		return 'y';
	case PROTO_INT:
		return t->is_signed ? 'd' : 'u';
	default:
		return 'p';
	}
}

/* "s32": how such a value is fetched. */
static const char *field_type(struct builder *b, const struct proto_type *t)
{
	char letter = letter_of(t);

	switch (letter) {
	case 'e':
	case 'd':
		letter = t->is_signed ? 's' : 'u';
		break;
	case 'f':
		break;
	case 'x':
	case 'p':
	case 'y':
		letter = 'x';
		break;
	default:
		letter = 'u';
	}
	return proto_format(b->arena, "%c%u", letter, (unsigned)t->size * 8);
}

static void unknown(struct builder *b)
{
	fputc('?', b->shown);
}

/* Say how @field is shown: as @t, or @bits of it from bit @low on. bits 0: all of it. */
static void show_field(struct builder *b, const char *field, const struct proto_type *t, unsigned bits, unsigned low)
{
	char letter = letter_of(t);

	fprintf(b->shown, "%%{%s:%c", field, letter);
	if (bits || letter == 'e')
		fprintf(b->shown, "%u", bits ? bits : (unsigned)t->size * 8);
	if (bits)
		fprintf(b->shown, "@%u", low);
	if (letter == 'e')
		fprintf(b->shown, ",%u", enum_number(b, t->enumeration));
	fputc('}', b->shown);
}

static bool is_power(uint64_t size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static void scalar(struct builder *b, const struct proto_type *t, struct access *a, const char *name)
{
	const struct proto_piece *p = a->base ? NULL : &a->regs->piece[0];
	const char *field;
	unsigned low;

	if (!is_power(t->size)) {
		unknown(b);
	} else if (a->base || (a->whole && a->regs->n == 1 && (p->place == PROTO_IN_FP) == (t->kind == PROTO_FLOAT))) {
		field = add_field(b, name, "", a->base ? word_at(b, a, 0) : p->fetch, field_type(b, t));
		if (field)
			show_field(b, field, t, 0, 0);
		else
			unknown(b);
	} else {
		field = raw_field(b, a, a->offset, (unsigned)t->size * 8, &low);
		if (field)
			show_field(b, field, t, (unsigned)t->size * 8, low);
		else
			unknown(b);
	}
}

/* A number of two words: @letter and its two fields, the low one first. */
static void two_words(struct builder *b, struct access *a, const char *name, char letter, const char *high_type)
{
	const char *low = NULL, *high = NULL, *first = word_at(b, a, 0), *second = word_at(b, a, 8);

	if (proto_abi_big_endian(b->abi)) {
		const char *swap = first;

		first = second;
		second = swap;
	}
	if (first && second) {
		low = add_field(b, name, "_lo", first, "x64");
		high = add_field(b, name, "_hi", second, high_type);
	}
	if (low && high)
		fprintf(b->shown, "%%{%s:%c,%s}", low, letter, high);
	else
		unknown(b);
}

/* A bit field of @bits. */
static void bit_field(struct builder *b, const struct proto_member *m, struct access *a, const char *name)
{
	int64_t bit = (int64_t)m->bit + (a->base ? a->offset * 8 : a->offset);
	unsigned low, unit = 8;
	const char *field;

	if (!a->base) {
		field = raw_field(b, a, bit, m->bits, &low);
		if (field)
			show_field(b, field, m->type, m->bits, low);
		else
			unknown(b);
		return;
	}
	/* The smallest unit that holds it, from a byte on. */
	while (unit < 64 && (bit & 7) + m->bits > unit)
		unit *= 2;
	low = (unsigned)(bit & 7);
	if (low + m->bits > unit) {
		unknown(b);
		return;
	}
	if (proto_abi_big_endian(b->abi))
		low = unit - low - m->bits;
	field = add_field(b, name, "", proto_format(b->arena, "%+lld(%s)", (long long)((bit - (bit & 7)) / 8), a->base),
			  proto_format(b->arena, "b%u@%u/%u", m->bits, low, unit));
	if (field)
		show_field(b, field, m->type, m->bits, 0);
	else
		unknown(b);
}

/* ---- text ---- */

static void cstring(struct builder *b, struct access *a, const char *name)
{
	const char *pointer = word_at(b, a, 0), *text, *field;

	if (!pointer) {
		unknown(b);
		return;
	}
	text = add_field(b, name, "", proto_format(b->arena, "+0(%s)", pointer), "string");
	field = text ? add_field(b, name, "_p", pointer, proto_abi_word(b->abi) == 8 ? "x64" : "x32") : NULL;
	if (field)
		fprintf(b->shown, "%%{%s:s,%s}", text, field);
	else
		unknown(b);
}

static void text_and_length(struct builder *b, const struct proto_type *t, struct access *a, const char *name)
{
	const char *pointer = word_at(b, a, (int64_t)t->members[0].bit / 8);
	const char *length = word_at(b, a, (int64_t)t->members[1].bit / 8), *text, *field;

	if (!pointer || !length) {
		unknown(b);
		return;
	}
	text = add_field(b, name, "", proto_format(b->arena, "+0(%s)", pointer), "string");
	field = text ? add_field(b, name, "_len", length, proto_abi_word(b->abi) == 8 ? "u64" : "u32") : NULL;
	if (field)
		fprintf(b->shown, "%%{%s:S,%s}", text, field);
	else
		unknown(b);
}

/* ---- what consists of others ---- */

static void value(struct builder *b, const struct proto_type *t, struct access *a, const char *name, unsigned depth);

/* The part at @bit of what is at @a. Fields of registers are shared with it. */
static void part(struct builder *b, const struct proto_type *t, struct access *a, uint64_t bit, const char *name,
		 unsigned depth)
{
	struct access inner = *a;

	inner.offset += (int64_t)(a->base ? bit / 8 : bit);
	inner.whole = false;
	value(b, t, &inner, name, depth + 1);
	memcpy(a->raw, inner.raw, sizeof(a->raw));
}

static bool is_empty(const struct proto_type *t)
{
	return t->kind == PROTO_STRUCT && !t->nmembers && !t->shallow;
}

static bool is_shown(const struct proto_member *m)
{
	return !is_empty(m->type) && (!m->name || strncmp(m->name, "_vptr", 5));
}

/* What the one member of @t is, if its name is libstdc++'s own business; @t itself if not. */
static const struct proto_member *only_member(const struct proto_type *t)
{
	const struct proto_member *only = NULL;

	for (size_t i = 0; i < t->nmembers; i++) {
		if (!is_shown(&t->members[i]))
			continue;
		if (only || t->members[i].bits || (t->members[i].name && strncmp(t->members[i].name, "_M_", 3)))
			return NULL;
		only = &t->members[i];
	}
	return only;
}

/* "NAME=", as far as it is a name: the file may be damaged. */
static void put_name(struct builder *b, const char *name)
{
	for (; *name; name++)
		fputc((unsigned char)*name <= ' ' || *name == 0x7f || *name == '%' ? '?' : *name, b->shown);
	fputc('=', b->shown);
}

/* Members, those of base classes among them; how many were shown before: @n. */
static unsigned members(struct builder *b, const struct proto_type *t, struct access *a, const char *name,
			unsigned depth, unsigned n)
{
	for (size_t i = 0; i < t->nmembers; i++) {
		const struct proto_member *m = &t->members[i];
		const char *field = m->name ? proto_format(b->arena, "%s_%s", name, m->name) : name;

		if (!is_shown(m))
			continue;
		if (!m->name && m->type->kind == PROTO_STRUCT) {
			struct access inner = *a;

			inner.offset += (int64_t)(a->base ? m->bit / 8 : m->bit);
			n = members(b, m->type, &inner, name, depth, n);
			memcpy(a->raw, inner.raw, sizeof(a->raw));
			continue;
		}
		if (n++)
			fputs(", ", b->shown);
		if (n > MAX_MEMBERS || b->n == MAX_FIELDS) {
			fputs("...", b->shown);
			return n;
		}
		if (m->name)
			put_name(b, m->name);
		if (m->bits)
			bit_field(b, m, a, field);
		else
			part(b, m->type, a, m->bit, field, depth);
	}
	return n;
}

static void structure(struct builder *b, const struct proto_type *t, struct access *a, const char *name,
		      unsigned depth)
{
	const struct proto_member *only = t->kind == PROTO_STRUCT ? only_member(t) : NULL;

	if (only) {
		struct access inner = *a;

		inner.offset += (int64_t)(a->base ? only->bit / 8 : only->bit);
		inner.whole = false;
		value(b, only->type, &inner, name, depth);
		memcpy(a->raw, inner.raw, sizeof(a->raw));
		return;
	}
	fputc('{', b->shown);
	if (depth >= MAX_DEPTH)
		fputs("...", b->shown);
	else
		members(b, t, a, name, depth, 0);
	fputc('}', b->shown);
}

static void array(struct builder *b, const struct proto_type *t, struct access *a, const char *name, unsigned depth)
{
	bool vector = t->kind == PROTO_VECTOR;

	if (a->base && t->target->kind == PROTO_CHAR && t->target->size == 1 && !vector) {
		const char *text = add_field(b, name, "", word_at(b, a, 0), "string");

		if (text)
			fprintf(b->shown, "%%{%s:S,#%llu}", text, (unsigned long long)t->count);
		else
			unknown(b);
		return;
	}
	fputc(vector ? '{' : '[', b->shown);
	for (uint64_t i = 0; i < t->count; i++) {
		if (i)
			fputs(", ", b->shown);
		if (i == MAX_ELEMENTS || depth >= MAX_DEPTH || b->n == MAX_FIELDS) {
			fputs("...", b->shown);
			break;
		}
		part(b, t->target, a, i * t->target->size * 8,
		     proto_format(b->arena, "%s_%llu", name, (unsigned long long)i), depth);
	}
	fputc(vector ? '}' : ']', b->shown);
}

/* A reference is shown as what it refers to. */
static void reference(struct builder *b, const struct proto_type *t, struct access *a, const char *name,
		      unsigned depth)
{
	const char *pointer = word_at(b, a, 0);
	const struct proto_type *target = t->target;
	struct access inner = { .base = pointer };

	if (depth || !pointer || !target || target->kind == PROTO_UNKNOWN || target->kind == PROTO_REFERENCE ||
	    (target->kind == PROTO_CODE && target->shallow) || target->kind == PROTO_VOID)
		scalar(b, t, a, name);
	else
		value(b, target, &inner, name, depth);
}

static void wide(struct builder *b, const struct proto_type *t, struct access *a, const char *name)
{
	static const struct proto_type as_double = { .kind = PROTO_FLOAT, .size = 8 };

	if (t->kind == PROTO_FLOAT && t->is_quad)
		unknown(b);
	else if (t->kind == PROTO_FLOAT && !a->base && a->whole && proto_abi_word(b->abi) == 4)
		scalar(b, &as_double, a, name);		/* all that is fetched of an x87 register */
	else if (t->kind == PROTO_FLOAT && a->base && !proto_abi_big_endian(b->abi))
		two_words(b, a, name, 'L', "x16");
	else if (t->kind == PROTO_INT && t->size == 16)
		two_words(b, a, name, t->is_signed ? 'I' : 'U', "x64");
	else
		unknown(b);
}

static void complex_number(struct builder *b, const struct proto_type *t, struct access *a, const char *name,
			   unsigned depth)
{
	part(b, t->target, a, 0, proto_format(b->arena, "%s_re", name), depth);
	fputs("+", b->shown);
	part(b, t->target, a, t->target->size * 8, proto_format(b->arena, "%s_im", name), depth);
	fputs("i", b->shown);
}

static void value(struct builder *b, const struct proto_type *t, struct access *a, const char *name, unsigned depth)
{
	switch (t->kind) {
	case PROTO_UNKNOWN:
	case PROTO_VOID:
		unknown(b);
		return;
	case PROTO_CSTRING:
		cstring(b, a, name);
		return;
	case PROTO_STRING:
	case PROTO_SLICE:
		text_and_length(b, t, a, name);
		return;
	case PROTO_REFERENCE:
		reference(b, t, a, name, depth);
		return;
	case PROTO_STRUCT:
	case PROTO_UNION:
		structure(b, t, a, name, depth);
		return;
	case PROTO_ARRAY:
	case PROTO_VECTOR:
		array(b, t, a, name, depth);
		return;
	case PROTO_COMPLEX:
		complex_number(b, t, a, name, depth);
		return;
	default:
		if (t->size > 8)
			wide(b, t, a, name);
		else
			scalar(b, t, a, name);
	}
}

/* A parameter or result at @where. */
static void placed(struct builder *b, const struct proto_type *t, const struct proto_location *where, const char *name)
{
	const struct proto_piece *p = &where->piece[0];
	struct access a = { .regs = where, .raw_name = name, .whole = true };

	if (!where->n) {
		/* Classes without members take no place. */
		if (is_empty(t))
			fputs("{}", b->shown);
		else
			unknown(b);
		return;
	}
	if (p->place == PROTO_ON_STACK) {
		a.base = proto_abi_sp(b->abi);
		a.offset = p->offset;
	} else if (p->place == PROTO_BEHIND) {
		a.base = p->fetch;
	}
	value(b, t, &a, name, 0);
}

/* ---- events ---- */

static bool begin(struct builder *b, struct proto_event *out, char **text, size_t size[2])
{
	memset(out, 0, sizeof(*out));
	b->fetch = open_memstream(&text[0], &size[0]);
	b->shown = open_memstream(&text[1], &size[1]);
	return b->fetch && b->shown;
}

static void end(struct builder *b, struct proto_event *out, char **text)
{
	if (b->fetch)
		fclose(b->fetch);
	if (b->shown)
		fclose(b->shown);
	out->fetch = proto_strdup(b->arena, text[0] ? text[0] : "");
	out->shown = proto_strdup(b->arena, text[1] ? text[1] : "");
	free(text[0]);
	free(text[1]);
}

/* The field that parameter @name of @p became, for conditions. */
static bool show_condition(struct builder *b, const struct proto_param *q)
{
	if (!q->only_if || !is_taken(b, q->only_if))
		return false;
	fprintf(b->shown, "%%[%s&%#llx:", q->only_if, (unsigned long long)q->only_if_mask);
	return true;
}

void proto_call_event(const struct proto_abi *abi, struct proto_arena *arena, struct proto_enums *enums,
		      const struct proto *p, struct proto_event *out)
{
	struct builder b = { .abi = abi, .arena = arena, .enums = enums };
	char *text[2] = { NULL, NULL };
	size_t size[2];

	if (begin(&b, out, text, size)) {
		for (size_t i = 0; i < p->nparams; i++) {
			const struct proto_param *q = &p->params[i];
			bool condition = show_condition(&b, q);

			if (i)
				fputs(", ", b.shown);
			placed(&b, q->type, &q->where,
			       q->name ? q->name : proto_format(arena, "arg%zu", i + 1));
			if (condition)
				fputs("%]", b.shown);
		}
		if (p->variadic)
			fputs(p->nparams ? ", ..." : "...", b.shown);
	}
	end(&b, out, text);
}

void proto_return_event(const struct proto_abi *abi, struct proto_arena *arena, struct proto_enums *enums,
			const struct proto *p, struct proto_event *out)
{
	struct builder b = { .abi = abi, .arena = arena, .enums = enums };
	char *text[2] = { NULL, NULL };
	size_t size[2];

	if (begin(&b, out, text, size) && p->result && p->result_where.n)
		placed(&b, p->result, &p->result_where, "ret");
	end(&b, out, text);
}
