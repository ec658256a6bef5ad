/* SPDX-License-Identifier: MIT */
/* Fields of an event for a value: names, and where what they fetch is. */
#include <ctype.h>
#include <string.h>

#include "prototype/value.h"

#define MAX_TEXT	3600	/* bytes of the definitions of an event's fields */
#define MAX_NAME	24	/* letters of a field's name, before it is made unique */

bool value_is_taken(const struct value_builder *b, const char *name)
{
	for (unsigned i = 0; i < b->n; i++)
		if (!strcmp(b->names[i], name))
			return true;
	return false;
}

char *value_field(struct value_builder *b, const char *name, const char *suffix, const char *fetch,
		  const char *type)
{
	char *field = proto_alloc(b->arena, MAX_NAME + 16);
	size_t len = 0;

	if (b->n == MAX_FIELDS || ftell(b->fetch) > MAX_TEXT)
		return NULL;
	/* Every event has fields of its own that begin so. */
	if (isdigit((unsigned char)*name) || !strncmp(name, "__probe", 7) ||
	    !strncmp(name, "common_", 7))
		field[len++] = '_';
	for (; *name && len < MAX_NAME; name++)
		field[len++] = isalnum((unsigned char)*name) ? *name : '_';
	strcpy(field + len, suffix);
	len = strlen(field);
	for (unsigned i = 2; value_is_taken(b, field); i++)
		sprintf(field + len, "_%u", i);
	fprintf(b->fetch, "%s%s=%s:%s", b->n ? " " : "", field, fetch, type);
	b->names[b->n++] = field;
	return field;
}

const char *value_word(struct value_builder *b, const struct value_access *a, int64_t byte)
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

const char *value_raw(struct value_builder *b, struct value_access *a, int64_t bit, unsigned bits,
		      unsigned *low)
{
	static const char *const suffixes[PROTO_PIECES] = { "_lo", "_hi", "_w2", "_w3" };

	for (unsigned i = 0; i < a->regs->n; i++) {
		const struct proto_piece *p = &a->regs->piece[i];
		int64_t first = p->at * 8ll, size = p->size ? p->size * 8 : 64;

		if (bit < first || bit + bits > first + size)
			continue;
		*low = (unsigned)(proto_abi_big_endian(b->abi) ? first + size - bit - bits
							       : bit - first);
		if (!a->raw[i])
			a->raw[i] = value_field(b, a->raw_name,
						a->regs->n > 1 ? suffixes[i] : "", p->fetch,
						p->place == PROTO_IN_FP       ? "f64"
						: proto_abi_word(b->abi) == 8 ? "x64"
									      : "x32");
		return *low < 64 && bits <= 64 ? a->raw[i] : NULL;
	}
	return NULL;
}
