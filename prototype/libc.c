/* SPDX-License-Identifier: MIT */
/* Prototypes of the C library's functions, where no debug information tells them. */
#include <stdlib.h>
#include <string.h>

#include "prototype/libc-enums.h"
#include "prototype/libc-table.h"

#define NFUNCTIONS	(sizeof(table) / sizeof(table[0]))

/* size 0: a machine word. */
static const struct word {
	const char *word, *declared;
	struct proto_type type;
} words[] = {
	{ "int", "int", { .kind = PROTO_INT, .size = 4, .is_signed = true } },
	{ "uint", "unsigned int", { .kind = PROTO_INT, .size = 4 } },
	{ "long", "long", { .kind = PROTO_INT, .is_signed = true } },
	{ "ulong", "unsigned long", { .kind = PROTO_INT } },
	{ "size", "size_t", { .kind = PROTO_INT } },
	{ "ssize", "ssize_t", { .kind = PROTO_INT, .is_signed = true } },
	{ "off", "off_t", { .kind = PROTO_INT, .is_signed = true } },
	{ "off64", "off64_t", { .kind = PROTO_INT, .size = 8, .is_signed = true } },
	{ "i64", "long long", { .kind = PROTO_INT, .size = 8, .is_signed = true } },
	{ "u64", "unsigned long long", { .kind = PROTO_INT, .size = 8 } },
	{ "u32", "uint32_t", { .kind = PROTO_INT, .size = 4 } },
	{ "u16", "uint16_t", { .kind = PROTO_INT, .size = 2 } },
	{ "char", "int", { .kind = PROTO_CHAR, .size = 4 } },
	{ "hex", "unsigned int", { .kind = PROTO_HEX, .size = 4 } },
	{ "hexl", "unsigned long", { .kind = PROTO_HEX } },
	{ "mode", "mode_t", { .kind = PROTO_OCTAL, .size = 4 } },
	{ "double", "double", { .kind = PROTO_FLOAT, .size = 8 } },
	{ "float", "float", { .kind = PROTO_FLOAT, .size = 4 } },
	{ "ptr", "void *", { .kind = PROTO_POINTER } },
	{ "str", "const char *", { .kind = PROTO_CSTRING } },
	{ "fn", "void (*)()", { .kind = PROTO_CODE } },
};

static size_t word_length(const char *s)
{
	return strcspn(s, " ?(),");
}

static const struct proto_type *enum_type(struct proto_arena *arena, const char *name, size_t len)
{
	struct proto_type *t;

	for (size_t i = 0; i < proto_libc_nenums; i++) {
		struct proto_enum *e = &proto_libc_enums[i];

		if (strlen(e->name) != len || strncmp(e->name, name, len))
			continue;
		t = proto_alloc(arena, sizeof(*t));
		*t = (struct proto_type){ .kind = PROTO_ENUM, .name = "int", .size = 4, .align = 4,
					  .enumeration = e, .is_signed = true };
		return t;
	}
	return NULL;
}

/* The type that the word at @s names; NULL: void. */
static const struct proto_type *type_of(struct proto_arena *arena, const char *s, unsigned size)
{
	size_t len = word_length(s);
	struct proto_type *t;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strlen(words[i].word) != len || strncmp(words[i].word, s, len))
			continue;
		t = proto_alloc(arena, sizeof(*t));
		*t = words[i].type;
		t->name = words[i].declared;
		if (!t->size)
			t->size = size;
		t->align = t->size;
		return t;
	}
	return enum_type(arena, s, len);
}

static const char *name_of(const char *line)
{
	return strchr(line, ' ') + 1;
}

static int compare(const void *key, const void *element)
{
	const char *name = name_of(*(const char *const *)element);
	size_t len = word_length(name);
	int order = strncmp(key, name, len);

	return order ? order : ((const char *)key)[len] != 0;
}

static int compare_lines(const void *a, const void *b)
{
	const char *x = name_of(*(const char *const *)a), *y = name_of(*(const char *const *)b);
	size_t m = word_length(x), n = word_length(y);
	int order = strncmp(x, y, m < n ? m : n);

	return order ? order : (int)m - (int)n;
}

/* The table by name. */
static const char *const *sorted(void)
{
	static const char *lines[NFUNCTIONS];

	if (!lines[0]) {
		memcpy(lines, table, sizeof(table));
		qsort(lines, NFUNCTIONS, sizeof(lines[0]), compare_lines);
	}
	return lines;
}

static char *copy(struct proto_arena *arena, const char *s, size_t len)
{
	return proto_format(arena, "%.*s", (int)len, s);
}

static void parse_params(struct proto_arena *arena, const char *s, unsigned word, struct proto *p)
{
	while (*s && *s != ')') {
		struct proto_param *q = &p->params[p->nparams];
		const char *name;

		if (!strncmp(s, "...", 3)) {
			p->variadic = true;
			return;
		}
		if (!strncmp(s, "void)", 5))
			return;
		name = strchr(s, ' ') + 1;
		q->type = type_of(arena, s, word);
		q->name = copy(arena, name, word_length(name));
		if (s[word_length(s)] == '?') {
			q->only_if = "flags";
			q->only_if_mask = proto_libc_creates;
		}
		p->nparams++;
		s = name + word_length(name);
		s += strspn(s, ", ");
	}
}

const struct proto *proto_libc(struct proto_arena *arena, const struct proto_abi *abi, const char *name)
{
	const char *const *line = bsearch(name, sorted(), NFUNCTIONS, sizeof(char *), compare);
	unsigned word = proto_abi_word(abi);
	struct proto *p;
	const char *s;

	if (!line)
		return NULL;
	s = name_of(*line);
	p = proto_alloc(arena, sizeof(*p));
	p->name = copy(arena, s, word_length(s));
	p->result = type_of(arena, *line, word);
	p->params = proto_alloc(arena, 8 * sizeof(*p->params));
	parse_params(arena, strchr(s, '(') + 1, word, p);
	proto_abi_place(abi, arena, p);
	return p;
}

const struct proto_type *proto_libc_enum(struct proto_arena *arena, const char *name)
{
	return enum_type(arena, name, strlen(name));
}
