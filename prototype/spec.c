/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "prototype/spec.h"

#define MAX_VALUES	32
#define MAX_NUMBER	32

/* ---- the text ---- */

static bool take(const char **s, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*s, word, len))
		return false;
	*s += len;
	return true;
}

static bool take_number(const char **s, unsigned *number)
{
	char *end;
	unsigned long n;

	if (!isdigit((unsigned char)**s))
		return false;
	n = strtoul(*s, &end, 10);
	*number = n > 65535 ? 65535 : (unsigned)n;
	*s = end;
	return true;
}

static char *word_of(struct proto_arena *arena, const char **s)
{
	size_t len = 0;

	while (isalnum((unsigned char)(*s)[len]) || (*s)[len] == '_' || (*s)[len] == ':')
		len++;
	*s += len;
	return proto_format(arena, "%.*s", (int)len, *s - len);
}

static bool are_bits(unsigned bits)
{
	return bits == 8 || bits == 16 || bits == 32 || bits == 64;
}

static const char *parse_format(struct proto_arena *arena, const char **s, struct spec_value *v)
{
	if (v->kind == SPEC_FPARG) {
		take(s, "f");
		v->format = 'f';
		if (!take_number(s, &v->bits) || (v->bits != 32 && v->bits != 64))
			return "floating point arguments have 32 or 64 bits (fparg1/32)";
		return NULL;
	}
	v->format = **s;
	if (!v->format || !strchr("iduxocfsSpe", v->format))
		return "no such format: there are i, u, x, o, c, f, s, S, p and e:ENUM";
	++*s;
	if (v->format == 'e') {
		if (!take(s, ":"))
			return "e is followed by the enumeration's name (arg1/e:color)";
		v->name = word_of(arena, s);
		return *v->name ? NULL : "e is followed by the enumeration's name (arg1/e:color)";
	}
	if (take_number(s, &v->bits)) {
		if (strchr("sSp", v->format))
			return "this format has no number of bits";
		if (!are_bits(v->bits) || (v->format == 'f' && v->bits < 32))
			return "a value has 8, 16, 32 or 64 bits, a floating point number 32 or 64";
	}
	return NULL;
}

static const char *parse_where(struct proto_arena *arena, const char **s, struct spec_value *v)
{
	if (v->kind == SPEC_RETVAL)
		return "a return value is where the calling convention has it";
	if (take(s, "stack+")) {
		v->where = "stack";
		if (!take_number(s, &v->word) || !v->word)
			return "stack+N: N is a number, 1 the word behind the return address";
		return NULL;
	}
	v->where = word_of(arena, s);
	return *v->where ? NULL : "no register behind the %";
}

static const char *parse_value(struct proto_arena *arena, const char **s, bool returns, struct spec_value *v)
{
	const char *why = NULL;

	if (take(s, "retval"))
		v->kind = SPEC_RETVAL;
	else if (returns)
		return "-R takes return values only (FUNC@retval)";
	else if (take(s, "fparg"))
		v->kind = SPEC_FPARG;
	else if (take(s, "arg"))
		v->kind = SPEC_ARG;
	else
		return "a value is argN, fpargN or retval";
	if (v->kind != SPEC_RETVAL && (!take_number(s, &v->number) || !v->number || v->number > MAX_NUMBER))
		return "arguments are numbered from 1 to 32 (arg1)";
	if (take(s, "/"))
		why = parse_format(arena, s, v);
	if (!why && take(s, "%"))
		why = parse_where(arena, s, v);
	if (!why && **s && **s != ',')
		why = "something follows that is neither /FORMAT nor a comma";
	return why;
}

static const char *parse_one(struct proto_arena *arena, const char *text, bool returns, struct spec **list)
{
	const char *at = text, *values, *why = NULL;
	struct spec *spec = proto_alloc(arena, sizeof(*spec));
	struct spec_value v[MAX_VALUES] = { 0 };

	/* A regular expression may contain an @. */
	if (*text == '/' && strrchr(text, '/') > text)
		at = strrchr(text, '@') && strrchr(text, '@')[-1] == '/' ? strrchr(text, '@') : strchr(text + 1, '/');
	values = strchr(at, '@');
	if (values == text || !*text)
		return "no function is named";
	spec->function = values ? proto_format(arena, "%.*s", (int)(values - text), text) : proto_strdup(arena, text);
	while (values && !why) {
		values++;
		if (spec->n == MAX_VALUES)
			return "more than 32 values";
		why = parse_value(arena, &values, returns, &v[spec->n++]);
		if (!why && !*values)
			values = NULL;
	}
	if (why)
		return why;
	spec->values = proto_alloc(arena, (spec->n + 1) * sizeof(*v));
	memcpy(spec->values, v, spec->n * sizeof(*v));
	while (*list)
		list = &(*list)->next;
	*list = spec;
	return NULL;
}

const char *spec_parse(struct proto_arena *arena, const char *text, bool returns, struct spec **list)
{
	char *copy = proto_strdup(arena, text), *next;
	const char *why = NULL;

	for (; copy && !why; copy = next) {
		next = strchr(copy, ';');
		if (next)
			*next++ = '\0';
		why = strpbrk(copy, " \t\n") && !strstr(copy, "operator") && *copy != '/' && !strchr(copy, '<') &&
		      !strchr(copy, '(') ? "there is a space in it" : parse_one(arena, copy, returns, list);
	}
	return why;
}

bool spec_wants_call(const struct spec *spec)
{
	for (size_t i = 0; i < spec->n; i++)
		if (spec->values[i].kind != SPEC_RETVAL)
			return true;
	return false;
}

bool spec_wants_return(const struct spec *spec)
{
	for (size_t i = 0; i < spec->n; i++)
		if (spec->values[i].kind == SPEC_RETVAL)
			return true;
	return false;
}

/* ---- what it means for a function ---- */

struct context {
	const struct proto *known;	/* its prototype, or NULL */
	const struct proto_abi *abi;
	struct proto_arena *arena;
	struct proto_dwarf *dwarf;	/* NULL: there is none */
	bool libcxx;			/* its std::string is libc++'s */
};

static bool is_libcxx(const struct proto_type *t)
{
	return t && (t->kind == PROTO_LIBCXX_STRING || (t->kind == PROTO_REFERENCE && is_libcxx(t->target)));
}

static bool uses_libcxx(const struct proto *known, const char *symbol)
{
	bool uses = strstr(symbol, "NSt3__1") || (known && is_libcxx(known->result));

	for (size_t i = 0; known && i < known->nparams; i++)
		uses |= is_libcxx(known->params[i].type);
	return uses;
}

/* A type by its letter. */
static const struct proto_type *letter_type(const struct spec_value *v, const struct context *c)
{
	struct proto_type *t = proto_alloc(c->arena, sizeof(*t)), *target;
	const struct proto_type *named;
	unsigned word = proto_abi_word(c->abi);

	t->size = v->bits ? v->bits / 8 : word;
	t->kind = PROTO_INT;
	switch (v->kind == SPEC_FPARG ? 'f' : v->format) {
	case 'u':
		break;
	case 'x':
		t->kind = PROTO_HEX;
		break;
	case 'o':
		t->kind = PROTO_OCTAL;
		break;
	case 'c':
		t->kind = PROTO_CHAR;
		t->size = v->bits ? t->size : 1;
		break;
	case 'f':
		t->kind = PROTO_FLOAT;
		t->size = v->bits ? t->size : 8;
		break;
	case 's':
		t->kind = PROTO_CSTRING;
		break;
	case 'p':
		t->kind = PROTO_CODE;
		break;
	case 'S':
		target = proto_alloc(c->arena, sizeof(*target));
		if (c->libcxx)
			target->kind = PROTO_LIBCXX_STRING;
		else
			proto_make_string(c->arena, target, PROTO_STRING, word, 0, word * 8);
		t->kind = PROTO_REFERENCE;
		t->target = target;
		break;
	case 'e':
		named = c->dwarf ? proto_dwarf_enum(c->dwarf, c->arena, v->name) : NULL;
		return named ? named : proto_libc_enum(c->arena, v->name);
	default:
		t->is_signed = true;
	}
	t->align = t->size;
	return t;
}

/* The parameter of @known that is where @where is. */
static const struct proto_param *param_at(const struct proto *known, const struct proto_location *where)
{
	const struct proto_piece *p = &where->piece[0], *q;

	for (size_t i = 0; known && i < known->nparams; i++) {
		q = &known->params[i].where.piece[0];
		if (known->params[i].where.n == 1 && q->place == p->place &&
		    (p->fetch ? q->fetch && !strcmp(p->fetch, q->fetch) : p->offset == q->offset))
			return &known->params[i];
	}
	return NULL;
}

static bool place(const struct spec_value *v, const struct proto_abi *abi, struct proto_arena *arena,
		  struct proto_location *where)
{
	where->n = 0;
	if (v->where && strcmp(v->where, "stack")) {
		where->n = 1;
		where->piece[0] = (struct proto_piece){
			.place = PROTO_IN_FETCH, .fetch = proto_abi_named(abi, arena, v->where),
		};
	} else if (v->where) {
		where->n = 1;
		where->piece[0] = (struct proto_piece){
			.place = PROTO_ON_STACK, .offset = (int64_t)v->word * proto_abi_word(abi),
		};
	} else if (v->kind == SPEC_FPARG) {
		return proto_abi_float(abi, arena, v->number - 1, where);
	} else {
		return proto_abi_integer(abi, arena, v->number - 1, where);
	}
	return true;
}

static bool add_param(const struct spec_value *v, const struct context *c, struct proto *p)
{
	struct proto_param *q = &p->params[p->nparams++];
	const struct proto_param *its;

	if (!place(v, c->abi, c->arena, &q->where))
		return false;
	its = v->where ? NULL : param_at(c->known, &q->where);
	q->name = its && its->name ? its->name :
		  proto_format(c->arena, "%s%u", v->kind == SPEC_FPARG ? "fparg" : "arg", v->number);
	q->type = !v->format && its ? its->type : letter_type(v, c);
	return q->type;
}

static bool add_result(const struct spec_value *v, const struct context *c, struct proto *p)
{
	if (!v->format && c->known && c->known->result && c->known->result_where.n) {
		p->result = c->known->result;
		p->result_where = c->known->result_where;
		return true;
	}
	p->result = letter_type(v, c);
	proto_abi_result(c->abi, v->format == 'f', &p->result_where);
	return p->result;
}

struct proto *spec_proto(const struct spec *spec, const struct proto *known, const char *symbol,
			 const struct proto_abi *abi, struct proto_arena *arena, struct proto_dwarf *dwarf,
			 const char **why)
{
	const struct context c = { known, abi, arena, dwarf, uses_libcxx(known, symbol) };
	struct proto *p = proto_alloc(arena, sizeof(*p));

	p->params = proto_alloc(arena, (spec->n + 1) * sizeof(*p->params));
	for (size_t i = 0; i < spec->n; i++) {
		const struct spec_value *v = &spec->values[i];
		bool ok = v->kind == SPEC_RETVAL ? add_result(v, &c, p) : add_param(v, &c, p);

		if (ok)
			continue;
		if (v->format == 'e')
			*why = proto_format(arena, "no enumeration is called %s, neither in its debug information nor in the table of the C library's",
					    v->name);
		else
			*why = proto_format(arena, "floating point argument %u is in no register; say where it is (%%stack+N)",
					    v->number);
		return NULL;
	}
	return p;
}
