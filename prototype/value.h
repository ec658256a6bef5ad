/* SPDX-License-Identifier: MIT */
/* Between the files that turn values into fields of an event and a text: see values.c. */
#ifndef PROTOTYPE_VALUE_H
#define PROTOTYPE_VALUE_H

#include "prototype/prototype.h"

#define MAX_FIELDS	32	/* of an event: FTRACE_EVENT_MAX_ARGS */

struct value_builder {
	const struct proto_abi *abi;
	struct proto_arena *arena;
	struct proto_enums *enums;
	FILE *fetch, *shown;
	char *names[MAX_FIELDS];
	unsigned n;
};

/* Where a value is. */
struct value_access {
	const char *base;			/* in memory: fetch argument of the address; NULL: in registers */
	int64_t offset;				/* bytes from it; or bits of the value in the registers before it */
	const struct proto_location *regs;
	char *raw[PROTO_PIECES];		/* fields of whole registers, made when first needed */
	const char *raw_name;
	bool whole;				/* the value is all that is there */
};

/* ---- value-fields.c ---- */

bool value_is_taken(const struct value_builder *b, const char *name);

/* A field called after @name and @suffix that gives @fetch as @type. NULL: there are too many. */
char *value_field(struct value_builder *b, const char *name, const char *suffix, const char *fetch,
		  const char *type);

/* The address-sized word that is at @a, as a fetch argument; NULL: it shares a register. */
const char *value_word(struct value_builder *b, const struct value_access *a, int64_t byte);

/* The raw field of the register that holds bit @bit of the value; *@low: which of its bits that is, of @bits. */
const char *value_raw(struct value_builder *b, struct value_access *a, int64_t bit, unsigned bits, unsigned *low);

/* ---- value-scalars.c: what has no parts that are shown. Each adds fields, called after @name, and its text. ---- */

void value_unknown(struct value_builder *b);
void value_scalar(struct value_builder *b, const struct proto_type *t, struct value_access *a, const char *name);
void value_bits(struct value_builder *b, const struct proto_member *m, struct value_access *a, const char *name);

/* What has more than eight bytes. */
void value_wide(struct value_builder *b, const struct proto_type *t, struct value_access *a, const char *name);

void value_cstring(struct value_builder *b, struct value_access *a, const char *name);
void value_text_and_length(struct value_builder *b, const struct proto_type *t, struct value_access *a,
			   const char *name);
void value_libcxx_string(struct value_builder *b, struct value_access *a, const char *name);

#endif /* PROTOTYPE_VALUE_H */
