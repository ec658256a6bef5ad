/* SPDX-License-Identifier: MIT */
/* What calling conventions have in common; the rest is in abi-*.c. */
#include <string.h>

#include "prototype/abi.h"

static const struct proto_abi *const abis[] = {
	&proto_abi_x86_64, &proto_abi_i386, &proto_abi_s390x, &proto_abi_s390,
};

const struct proto_abi *proto_abi(uint16_t machine, bool wide)
{
	for (size_t i = 0; i < sizeof(abis) / sizeof(abis[0]); i++)
		if (abis[i]->machine == machine && abis[i]->wide == wide)
			return abis[i];
	return NULL;
}

unsigned proto_abi_word(const struct proto_abi *abi)
{
	return abi->word;
}

int64_t proto_abi_cfa(const struct proto_abi *abi)
{
	return abi->cfa;
}

bool proto_abi_big_endian(const struct proto_abi *abi)
{
	return abi->big_endian;
}

const char *proto_abi_sp(const struct proto_abi *abi)
{
	return abi->sp;
}

const char *proto_abi_register(const struct proto_abi *abi, unsigned number, bool *is_fp)
{
	const char *fetch = number < abi->nregisters ? abi->registers[number] : NULL;

	*is_fp = fetch && !strncmp(fetch, "$fp", 3);
	return fetch;
}

const char *proto_abi_named(const struct proto_abi *abi, struct proto_arena *arena, const char *name)
{
	/* People write rdi where the kernel writes di. */
	static const char *const long_names[] = { "ax", "bx", "cx", "dx", "si", "di", "bp", "sp" };

	for (size_t i = 0; i < sizeof(long_names) / sizeof(long_names[0]); i++)
		if ((name[0] == 'r' || name[0] == 'e') && !strcmp(name + 1, long_names[i]))
			name++;
	return proto_format(arena, "%%%s", name);
}

void proto_make_string(struct proto_arena *arena, struct proto_type *t, enum proto_kind kind, unsigned word,
		       uint64_t text_bit, uint64_t length_bit)
{
	struct proto_type *length = proto_alloc(arena, sizeof(*length));
	struct proto_type *text = proto_alloc(arena, sizeof(*text));

	*length = (struct proto_type){ .kind = PROTO_INT, .size = word, .align = word };
	*text = (struct proto_type){ .kind = PROTO_CSTRING, .size = word, .align = word };
	t->kind = kind;
	t->members = proto_alloc(arena, 2 * sizeof(*t->members));
	t->nmembers = 2;
	t->members[0] = (struct proto_member){ "text", text, text_bit, 0 };
	t->members[1] = (struct proto_member){ "length", length, length_bit, 0 };
}

bool abi_is_aggregate(const struct proto_type *t)
{
	switch (t->kind) {
	case PROTO_STRUCT:
	case PROTO_UNION:
	case PROTO_ARRAY:
	case PROTO_STRING:
	case PROTO_LIBCXX_STRING:
	case PROTO_SLICE:
		return true;
	default:
		return t->kind == PROTO_UNKNOWN && !t->shallow;
	}
}

bool abi_is_scalar(const struct proto_type *t)
{
	return !abi_is_aggregate(t) && t->kind != PROTO_VECTOR && t->kind != PROTO_COMPLEX &&
	       t->kind != PROTO_VOID;
}

/* ---- for place() ---- */

static struct proto_piece *add_piece(struct proto_location *where, uint32_t at, uint32_t size)
{
	struct proto_piece *p = &where->piece[where->n++];

	*p = (struct proto_piece){ .at = at, .size = size };
	return p;
}

void abi_put_int(struct abi_state *s, struct proto_location *where, uint32_t at, uint32_t size)
{
	struct proto_piece *p = add_piece(where, at, size);

	p->place = PROTO_IN_FETCH;
	p->fetch = proto_format(s->arena, "$arg%u", ++s->ints);
}

void abi_put_fp(struct abi_state *s, struct proto_location *where, uint32_t at, uint32_t size)
{
	struct proto_piece *p = add_piece(where, at, size);

	p->place = PROTO_IN_FP;
	p->fetch = proto_format(s->arena, "$fparg%u", ++s->fps);
}

void abi_put_fp_word(struct abi_state *s, struct proto_location *where, uint32_t at, unsigned word)
{
	struct proto_piece *p = add_piece(where, at, 8);

	p->place = PROTO_IN_FP;
	p->fetch = proto_format(s->arena, "$fparg%u.%u", s->fps, word);
}

void abi_put_stack(struct abi_state *s, struct proto_location *where, uint64_t size, uint64_t align)
{
	struct proto_piece *p = add_piece(where, 0, 0);
	uint64_t word = s->abi->word;

	if (align > word)
		s->stack = (s->stack + align - 1) & ~(align - 1);
	p->place = PROTO_ON_STACK;
	p->offset = s->abi->stack + (int64_t)s->stack;
	/* Small numbers are at the end of their slot where the end holds the low bits. */
	if (s->abi->big_endian && size < word)
		p->offset += (int64_t)(word - size);
	s->stack += (size + word - 1) & ~(word - 1);
}

void abi_put_address(struct abi_state *s, struct proto_location *where)
{
	struct proto_piece *p = &where->piece[0];

	if (s->ints < s->abi->nints) {
		abi_put_int(s, where, 0, 0);
	} else {
		abi_put_stack(s, where, s->abi->word, s->abi->word);
		p->fetch = proto_format(s->arena, "+%lld(%s)", (long long)p->offset, s->abi->sp);
		p->offset = 0;
	}
	p->place = PROTO_BEHIND;
}

void abi_put_result(struct proto_location *where, enum proto_place place, const char *fetch, uint32_t at,
		    uint32_t size)
{
	struct proto_piece *p = add_piece(where, at, size);

	p->place = place;
	p->fetch = fetch;
}

/* ---- Rust: its own rules are not promised; what compilers have done for years, and no more ---- */

/* The one scalar that @t is made of, or of two words each one: a fat pointer. */
static unsigned scalars_of(const struct proto_type *t, const struct proto_type **scalar, unsigned n)
{
	if (abi_is_scalar(t)) {
		if (n < 2)
			scalar[n] = t;
		return n + 1;
	}
	if ((t->kind != PROTO_STRUCT && t->kind != PROTO_SLICE && t->kind != PROTO_STRING) || !t->size)
		return t->size ? 3 : n;
	for (size_t i = 0; i < t->nmembers && n < 3; i++)
		n = scalars_of(t->members[i].type, scalar, n);
	return n;
}

static void place_rust(struct abi_state *s, const struct proto_type *t, struct proto_location *where)
{
	const struct proto_type *part[2];
	unsigned n = scalars_of(t, part, 0);
	uint32_t word = s->abi->word;

	if (!t->size)
		return;
	if (n == 1) {
		s->abi->place(s, part[0], where);
	} else if (n == 2 && t->size == 2 * word && part[0]->size == word && part[1]->size == word &&
		   part[0]->kind != PROTO_FLOAT && part[1]->kind != PROTO_FLOAT && s->ints + 2 <= s->abi->nints) {
		abi_put_int(s, where, 0, word);
		abi_put_int(s, where, word, word);
	} else if (t->size > 2 * word) {
		abi_put_address(s, where);
	} else {
		s->lost = true;
	}
}

static bool result_rust(const struct proto_abi *abi, const struct proto_type *t, struct proto_location *where)
{
	const struct proto_type *part[2];
	unsigned n = scalars_of(t, part, 0);

	if (!t->size)
		return false;
	if (n == 1)
		return abi->result(abi, part[0], where);
	if (t->size > 2 * abi->word) {
		abi_put_result(where, PROTO_BEHIND, "$retval", 0, 0);
		return true;
	}
	if (n == 2 && t->kind == PROTO_SLICE)
		return abi->result(abi, t, where);
	return false;
}

/* ---- a whole prototype ---- */

/* Further words of a vector register are called after it: "$fparg1.1". */
static bool is_one_register(const struct proto_location *a)
{
	return a->n == 1 || (a->n > 1 && a->piece[1].fetch && strchr(a->piece[1].fetch, '.'));
}

static bool same_place(const struct proto_location *a, const struct proto_location *b)
{
	const struct proto_piece *p = &a->piece[0], *q = &b->piece[0];

	if (!is_one_register(b) || p->place != q->place || p->offset != q->offset)
		return false;
	return p->fetch == q->fetch || (p->fetch && q->fetch && !strcmp(p->fetch, q->fetch));
}

static bool same_location(const struct proto_location *a, const struct proto_location *b)
{
	for (unsigned i = 0; i < a->n && i < b->n; i++) {
		const struct proto_piece *p = &a->piece[i], *q = &b->piece[i];

		if (p->place != q->place || p->offset != q->offset || p->at != q->at || p->size != q->size ||
		    !p->fetch != !q->fetch || (p->fetch && strcmp(p->fetch, q->fetch)))
			return false;
	}
	return a->n == b->n;
}

/* Where all values are by one ABI. */
struct attempt {
	struct proto_location result, *params;
	bool fits;		/* debug information agrees */
	bool wide;		/* something is in a vector register of more than 16 bytes */
};

/* clang returns a vector in registers in any case, the function's own: it is looked for in @widest's. */
static void attempt(const struct proto_abi *abi, const struct proto_abi *widest, struct proto_arena *arena,
		    const struct proto *p, struct attempt *a)
{
	const struct proto_abi *returns = p->is_clang && p->result && p->result->kind == PROTO_VECTOR ? widest : abi;
	struct abi_state s = { .abi = abi, .arena = arena };
	bool rust = p->language == PROTO_RUST;

	*a = (struct attempt){ .fits = true };
	a->params = proto_alloc(arena, (p->nparams + 1) * sizeof(*a->params));
	if (p->result && (rust ? result_rust : abi->result)(returns, p->result, &a->result)) {
		struct proto_location address = { .n = 0 };

		abi_put_address(&s, &address);
	}
	a->wide = a->result.n > 2;
	for (size_t i = 0; i < p->nparams; i++) {
		const struct proto_param *q = &p->params[i];

		if (!s.lost && rust)
			place_rust(&s, q->type, &a->params[i]);
		else if (!s.lost)
			abi->place(&s, q->type, &a->params[i]);
		a->wide |= a->params[i].n > 2;
		if (q->where.n && a->params[i].n && !same_place(&q->where, &a->params[i]))
			a->fits = false;
	}
}

/*
 * Wide vectors are passed in registers by who may use such ones: functions compiled for them (gcc), or those of files
 * that are as a whole (clang, whatever the function's attributes). Debug information tells neither, but where it says
 * that parameters are may leave one possibility. If more are left, it is the widest for gcc, which would have told of
 * what is in memory; for clang nothing is known of parameters whose places differ.
 */
static void choose(const struct proto_abi *abi, struct proto_arena *arena, const struct proto *p,
		   struct attempt *chosen)
{
	const struct proto_abi *widest = abi;
	struct attempt other;

	attempt(abi, widest, arena, p, chosen);
	for (abi = abi->narrower; abi && (chosen->wide || !chosen->fits); abi = abi->narrower) {
		attempt(abi, widest, arena, p, &other);
		if (!other.fits)
			continue;
		if (!chosen->fits)
			*chosen = other;
		for (size_t i = 0; i < p->nparams && p->is_clang; i++)
			if (!same_location(&chosen->params[i], &other.params[i]))
				chosen->params[i].n = 0;
	}
}

void proto_abi_place(const struct proto_abi *abi, struct proto_arena *arena, struct proto *p)
{
	bool strange = p->is_clone || p->is_incomplete, *assumed;
	struct attempt a;

	choose(abi, arena, p, &a);
	/* A function that nobody else calls may be passed its arguments in any way. */
	strange |= !a.fits;
	if (!p->is_clone)
		p->result_where = a.result;
	assumed = proto_alloc(arena, p->nparams + 1);
	for (size_t i = 0; i < p->nparams; i++) {
		struct proto_param *q = &p->params[i];

		assumed[i] = !q->where.n;
		/* With all words of a vector, too. */
		if (assumed[i] || (a.params[i].n > 1 && same_place(&q->where, &a.params[i])))
			q->where = a.params[i];
	}
	for (size_t i = 0; i < p->nparams && strange; i++)
		if (assumed[i])
			p->params[i].where.n = 0;
}

/* ---- of a function that nothing is known of ---- */

bool proto_abi_integer(const struct proto_abi *abi, struct proto_arena *arena, unsigned n,
		       struct proto_location *where)
{
	struct abi_state s = { .abi = abi, .arena = arena };

	where->n = 0;
	if (n < abi->nints) {
		s.ints = n;
		abi_put_int(&s, where, 0, 0);
	} else {
		s.stack = (uint64_t)(n - abi->nints) * abi->word;
		abi_put_stack(&s, where, abi->word, abi->word);
	}
	return true;
}

bool proto_abi_float(const struct proto_abi *abi, struct proto_arena *arena, unsigned n,
		     struct proto_location *where)
{
	struct abi_state s = { .abi = abi, .arena = arena, .fps = n };

	where->n = 0;
	if (n >= abi->nfps)
		return false;
	abi_put_fp(&s, where, 0, 0);
	return true;
}

void proto_abi_result(const struct proto_abi *abi, bool is_float, struct proto_location *where)
{
	where->n = 0;
	abi_put_result(where, is_float ? PROTO_IN_FP : PROTO_IN_FETCH, is_float ? "$fpretval" : "$retval", 0, 0);
}
