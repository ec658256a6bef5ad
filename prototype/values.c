/* SPDX-License-Identifier: MIT */
/*
 * What is fetched of a value, and how it is shown: its type and its place become fields of an event and a text with
 * places for them. Values that share a register, as small structures do, are taken out of the
 * register's field when they are shown; what is in memory is fetched member by member. This file has what consists
 * of others, and events.
 */
#include <stdlib.h>
#include <string.h>

#include "prototype/value.h"

#define MAX_MEMBERS	16	/* of a structure that are shown */
#define MAX_ELEMENTS	8	/* of an array */
#define MAX_DEPTH	4	/* of structures in structures */

/* ---- what consists of others ---- */

static void value(struct value_builder *b, const struct proto_type *t, struct value_access *a,
		  const char *name, unsigned depth);

/* The part at @bit of what is at @a. Fields of registers are shared with it. */
static void part(struct value_builder *b, const struct proto_type *t, struct value_access *a,
		 uint64_t bit, const char *name, unsigned depth)
{
	struct value_access inner = *a;

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
		if (only || t->members[i].bits ||
		    (t->members[i].name && strncmp(t->members[i].name, "_M_", 3)))
			return NULL;
		only = &t->members[i];
	}
	return only;
}

/* "NAME=", as far as it is a name: the file may be damaged. */
static void put_name(struct value_builder *b, const char *name)
{
	for (; *name; name++)
		fputc((unsigned char)*name <= ' ' || *name == 0x7f || *name == '%' ? '?' : *name,
		      b->shown);
	fputc('=', b->shown);
}

/* Members, those of base classes among them; how many were shown before: @n. */
static unsigned members(struct value_builder *b, const struct proto_type *t, struct value_access *a,
			const char *name, unsigned depth, unsigned n)
{
	for (size_t i = 0; i < t->nmembers; i++) {
		const struct proto_member *m = &t->members[i];
		const char *field = m->name ? proto_format(b->arena, "%s_%s", name, m->name) : name;

		if (!is_shown(m))
			continue;
		if (!m->name && m->type->kind == PROTO_STRUCT) {
			struct value_access inner = *a;

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
			value_bits(b, m, a, field);
		else
			part(b, m->type, a, m->bit, field, depth);
	}
	return n;
}

static void structure(struct value_builder *b, const struct proto_type *t, struct value_access *a,
		      const char *name, unsigned depth)
{
	const struct proto_member *only = t->kind == PROTO_STRUCT ? only_member(t) : NULL;

	if (only) {
		struct value_access inner = *a;

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

static void array(struct value_builder *b, const struct proto_type *t, struct value_access *a,
		  const char *name, unsigned depth)
{
	bool vector = t->kind == PROTO_VECTOR;

	if (a->base && t->target->kind == PROTO_CHAR && t->target->size == 1 && !vector) {
		const char *text = value_field(b, name, "", value_word(b, a, 0), "string");

		if (text)
			fprintf(b->shown, "%%{%s:S,#%llu}", text, (unsigned long long)t->count);
		else
			value_unknown(b);
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
static void reference(struct value_builder *b, const struct proto_type *t, struct value_access *a,
		      const char *name, unsigned depth)
{
	const char *pointer = value_word(b, a, 0);
	const struct proto_type *target = t->target;
	struct value_access inner = { .base = pointer };

	if (depth || !pointer || !target || target->kind == PROTO_UNKNOWN ||
	    target->kind == PROTO_REFERENCE || (target->kind == PROTO_CODE && target->shallow) ||
	    target->kind == PROTO_VOID)
		value_scalar(b, t, a, name);
	else
		value(b, target, &inner, name, depth);
}

static void complex_number(struct value_builder *b, const struct proto_type *t,
			   struct value_access *a, const char *name, unsigned depth)
{
	part(b, t->target, a, 0, proto_format(b->arena, "%s_re", name), depth);
	fputs("+", b->shown);
	part(b, t->target, a, t->target->size * 8, proto_format(b->arena, "%s_im", name), depth);
	fputs("i", b->shown);
}

static void value(struct value_builder *b, const struct proto_type *t, struct value_access *a,
		  const char *name, unsigned depth)
{
	switch (t->kind) {
	case PROTO_UNKNOWN:
	case PROTO_VOID:
		value_unknown(b);
		return;
	case PROTO_CSTRING:
		value_cstring(b, a, name);
		return;
	case PROTO_STRING:
	case PROTO_SLICE:
		value_text_and_length(b, t, a, name);
		return;
	case PROTO_LIBCXX_STRING:
		value_libcxx_string(b, a, name);
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
			value_wide(b, t, a, name);
		else
			value_scalar(b, t, a, name);
	}
}

/* A parameter or result at @where. */
static void placed(struct value_builder *b, const struct proto_type *t,
		   const struct proto_location *where, const char *name)
{
	const struct proto_piece *p = &where->piece[0];
	struct value_access a = {.regs = where, .raw_name = name, .whole = true};

	if (!where->n) {
		/* Classes without members take no place. */
		if (is_empty(t))
			fputs("{}", b->shown);
		else
			value_unknown(b);
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

static bool begin(struct value_builder *b, struct proto_event *out, char **text, size_t size[2])
{
	memset(out, 0, sizeof(*out));
	b->fetch = open_memstream(&text[0], &size[0]);
	b->shown = open_memstream(&text[1], &size[1]);
	return b->fetch && b->shown;
}

static void end(struct value_builder *b, struct proto_event *out, char **text)
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
static bool show_condition(struct value_builder *b, const struct proto_param *q)
{
	if (!q->only_if || !value_is_taken(b, q->only_if))
		return false;
	fprintf(b->shown, "%%[%s&%#llx:", q->only_if, (unsigned long long)q->only_if_mask);
	return true;
}

void proto_call_event(const struct proto_abi *abi, struct proto_arena *arena,
		      struct proto_enums *enums, const struct proto *p, struct proto_event *out)
{
	struct value_builder b = {.abi = abi, .arena = arena, .enums = enums};
	char *text[2] = {NULL, NULL};
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

void proto_return_event(const struct proto_abi *abi, struct proto_arena *arena,
			struct proto_enums *enums, const struct proto *p, struct proto_event *out)
{
	struct value_builder b = {.abi = abi, .arena = arena, .enums = enums};
	char *text[2] = {NULL, NULL};
	size_t size[2];

	if (begin(&b, out, text, size) && p->result && p->result_where.n)
		placed(&b, p->result, &p->result_where, "ret");
	end(&b, out, text);
}
