/* SPDX-License-Identifier: MIT */
/* Values that have no parts that are shown: numbers, pointers, bit fields, text. */
#include <stdlib.h>

#include "prototype/value.h"

static unsigned enum_number(struct value_builder *b, struct proto_enum *e)
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
static const char *field_type(struct value_builder *b, const struct proto_type *t)
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

void value_unknown(struct value_builder *b)
{
	fputc('?', b->shown);
}

/* Say how @field is shown: as @t, or @bits of it from bit @low on. bits 0: all of it. */
static void show_field(struct value_builder *b, const char *field, const struct proto_type *t,
		       unsigned bits, unsigned low)
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

void value_scalar(struct value_builder *b, const struct proto_type *t, struct value_access *a,
		  const char *name)
{
	const struct proto_piece *p = a->base ? NULL : &a->regs->piece[0];
	const char *field;
	unsigned low;

	if (!is_power(t->size)) {
		value_unknown(b);
	} else if (a->base || (a->whole && a->regs->n == 1 &&
			       (p->place == PROTO_IN_FP) == (t->kind == PROTO_FLOAT))) {
		field = value_field(b, name, "", a->base ? value_word(b, a, 0) : p->fetch,
				    field_type(b, t));
		if (field)
			show_field(b, field, t, 0, 0);
		else
			value_unknown(b);
	} else {
		field = value_raw(b, a, a->offset, (unsigned)t->size * 8, &low);
		if (field)
			show_field(b, field, t, (unsigned)t->size * 8, low);
		else
			value_unknown(b);
	}
}

/* A number of two words: @letter and its two fields, the low one first. */
static void two_words(struct value_builder *b, struct value_access *a, const char *name,
		      char letter, const char *high_type)
{
	const char *low = NULL, *high = NULL, *first = value_word(b, a, 0),
		   *second = value_word(b, a, 8);

	if (proto_abi_big_endian(b->abi)) {
		const char *swap = first;

		first = second;
		second = swap;
	}
	if (first && second) {
		low = value_field(b, name, "_lo", first, "x64");
		high = value_field(b, name, "_hi", second, high_type);
	}
	if (low && high)
		fprintf(b->shown, "%%{%s:%c,%s}", low, letter, high);
	else
		value_unknown(b);
}

/* A bit field of @bits. */
void value_bits(struct value_builder *b, const struct proto_member *m, struct value_access *a,
		const char *name)
{
	int64_t bit = (int64_t)m->bit + (a->base ? a->offset * 8 : a->offset);
	unsigned low, unit = 8;
	const char *field;

	if (!a->base) {
		field = value_raw(b, a, bit, m->bits, &low);
		if (field)
			show_field(b, field, m->type, m->bits, low);
		else
			value_unknown(b);
		return;
	}
	/* The smallest unit that holds it, from a byte on. */
	while (unit < 64 && (bit & 7) + m->bits > unit)
		unit *= 2;
	low = (unsigned)(bit & 7);
	if (low + m->bits > unit) {
		value_unknown(b);
		return;
	}
	if (proto_abi_big_endian(b->abi))
		low = unit - low - m->bits;
	field = value_field(
		b, name, "",
		proto_format(b->arena, "%+lld(%s)", (long long)((bit - (bit & 7)) / 8), a->base),
		proto_format(b->arena, "b%u@%u/%u", m->bits, low, unit));
	if (field)
		show_field(b, field, m->type, m->bits, 0);
	else
		value_unknown(b);
}

void value_wide(struct value_builder *b, const struct proto_type *t, struct value_access *a,
		const char *name)
{
	static const struct proto_type as_double = { .kind = PROTO_FLOAT, .size = 8 };

	if (t->kind == PROTO_FLOAT && t->is_quad)
		value_unknown(b);
	else if (t->kind == PROTO_FLOAT && !a->base && a->whole && proto_abi_word(b->abi) == 4)
		value_scalar(b, &as_double, a, name); /* all that is fetched of an x87 register */
	else if (t->kind == PROTO_FLOAT && !proto_abi_big_endian(b->abi))
		two_words(b, a, name, 'L', "x16");
	else if (t->kind == PROTO_INT && t->size == 16)
		two_words(b, a, name, t->is_signed ? 'I' : 'U', "x64");
	else
		value_unknown(b);
}

/* ---- text ---- */

/*
 * The text at @pointer, with another field: @word, as @letter of an address's size, called @suffix. How both are shown
 * begins with @shown.
 */
static void text(struct value_builder *b, const char *name, const char *pointer, const char *word,
		 char letter, const char *suffix, char shown)
{
	const char *type = proto_format(b->arena, "%c%u", letter, proto_abi_word(b->abi) * 8);
	const char *field = NULL, *with = NULL;

	if (pointer && word)
		field = value_field(b, name, "", proto_format(b->arena, "+0(%s)", pointer),
				    "string");
	if (field)
		with = value_field(b, name, suffix, word, type);
	if (with)
		fprintf(b->shown, "%%{%s:%c,%s}", field, shown, with);
	else
		value_unknown(b);
}

/* Its pointer as well: NULL and what cannot be read are told apart by it. */
void value_cstring(struct value_builder *b, struct value_access *a, const char *name)
{
	const char *pointer = value_word(b, a, 0);

	text(b, name, pointer, pointer, 'x', "_p", 's');
}

void value_text_and_length(struct value_builder *b, const struct proto_type *t,
			   struct value_access *a, const char *name)
{
	const char *pointer = value_word(b, a, (int64_t)t->members[0].bit / 8);
	const char *length = value_word(b, a, (int64_t)t->members[1].bit / 8);

	text(b, name, pointer, length, 'u', "_len", 'S');
}

/* It is never in registers. Where its text is depends on what is in it, which the process looks at. */
void value_libcxx_string(struct value_builder *b, struct value_access *a, const char *name)
{
	const char *at = a->base ? value_word(b, a, 0) : NULL, *field = NULL, *length = NULL;

	if (at)
		field = value_field(b, name, "", at, "libcxxstring");
	if (field)
		length = value_field(b, name, "_len", at, "libcxxlength");
	if (length)
		fprintf(b->shown, "%%{%s:S,%s}", field, length);
	else
		value_unknown(b);
}
