/* SPDX-License-Identifier: MIT */
/* System V application binary interface, AMD64 supplement, 3.2.3: parameter passing. */
#include <elf.h>

#include "prototype/abi.h"

enum class { NO_CLASS, INTEGER, SSE, SSEUP, X87, X87UP, MEMORY };

#define EIGHTBYTES	8	/* of the widest vector register */

static enum class merge(enum class a, enum class b)
{
	if (a == b || b == NO_CLASS)
		return a;
	if (a == NO_CLASS)
		return b;
	if (a == MEMORY || b == MEMORY)
		return MEMORY;
	if (a == INTEGER || b == INTEGER)
		return INTEGER;
	if (a == X87 || a == X87UP || b == X87 || b == X87UP)
		return MEMORY;
	return SSE;
}

static void add_class(enum class *c, uint64_t byte, enum class class)
{
	if (byte / 8 < EIGHTBYTES)
		c[byte / 8] = merge(c[byte / 8], class);
	else
		c[0] = MEMORY;
}

static void classify(const struct proto_type *t, uint64_t byte, enum class *c);

static void classify_members(const struct proto_type *t, uint64_t byte, enum class *c)
{
	for (size_t i = 0; i < t->nmembers; i++) {
		const struct proto_member *m = &t->members[i];

		if (m->bits)
			add_class(c, byte + m->bit / 8, INTEGER);
		else
			classify(m->type, byte + m->bit / 8, c);
	}
}

static void classify_float(const struct proto_type *t, uint64_t byte, enum class *c)
{
	bool x87 = t->size == 16 && !t->is_quad;

	add_class(c, byte, x87 ? X87 : SSE);
	if (t->size == 16)
		add_class(c, byte + 8, x87 ? X87UP : SSEUP);
}

/* Add the classes of a @t at @byte of the value. */
static void classify(const struct proto_type *t, uint64_t byte, enum class *c)
{
	if (t->align > 1 && byte % t->align && t->kind != PROTO_STRING && t->kind != PROTO_LIBCXX_STRING &&
	    t->kind != PROTO_SLICE) {
		c[0] = MEMORY;
		return;
	}
	switch (t->kind) {
	case PROTO_FLOAT:
		classify_float(t, byte, c);
		return;
	case PROTO_COMPLEX:
		classify_float(t->target, byte, c);
		classify_float(t->target, byte + t->target->size, c);
		return;
	case PROTO_VECTOR:
		add_class(c, byte, SSE);
		for (uint64_t i = 8; i < t->size && i < 8 * EIGHTBYTES; i += 8)
			add_class(c, byte + i, SSEUP);
		return;
	case PROTO_ARRAY:
		for (uint64_t i = 0; i < t->count && i <= 8 * EIGHTBYTES; i++)
			classify(t->target, byte + i * t->target->size, c);
		return;
	case PROTO_STRUCT:
	case PROTO_UNION:
	case PROTO_STRING:
	case PROTO_LIBCXX_STRING:
	case PROTO_SLICE:
		classify_members(t, byte, c);
		return;
	case PROTO_UNKNOWN:
	case PROTO_VOID:
		c[0] = MEMORY;
		return;
	default:
		for (uint64_t i = 0; i < t->size; i += 8)
			add_class(c, byte + i, INTEGER);
	}
}

/* The eightbytes of @t; 0: it has none, nothing is passed. c[0] is MEMORY if it is in memory. */
static unsigned classes_of(const struct proto_abi *abi, const struct proto_type *t, enum class *c)
{
	unsigned n = (unsigned)((t->size + 7) / 8);

	for (unsigned i = 0; i < EIGHTBYTES; i++)
		c[i] = NO_CLASS;
	if (t->size > 8 * EIGHTBYTES) {
		c[0] = MEMORY;
		return n;
	}
	classify(t, 0, c);
	for (unsigned i = 0; i < n; i++)
		if (c[i] == MEMORY || (c[i] == X87UP && (!i || c[i - 1] != X87)))
			c[0] = MEMORY;
	/* More than two only in one vector register. */
	for (unsigned i = 1; i < n && n > 2; i++)
		if (c[0] != SSE || c[i] != SSEUP || t->size > abi->vector)
			c[0] = MEMORY;
	return c[0] == NO_CLASS && (n < 2 || c[1] == NO_CLASS) ? 0 : n;
}

static void place(struct abi_state *s, const struct proto_type *t, struct proto_location *where)
{
	enum class c[EIGHTBYTES];
	unsigned n, ints = 0, fps = 0;

	if (t->by_reference) {
		abi_put_address(s, where);
		return;
	}
	n = classes_of(s->abi, t, c);
	if (!n)
		return;
	for (unsigned i = 0; i < n && i < EIGHTBYTES; i++) {
		ints += c[i] == INTEGER;
		fps += c[i] == SSE;
	}
	if (t->kind == PROTO_UNKNOWN && !t->size) {
		s->lost = true;
		return;
	}
	if (c[0] == MEMORY || c[0] == X87 || s->ints + ints > s->abi->nints || s->fps + fps > s->abi->nfps) {
		abi_put_stack(s, where, t->size, t->align);
		return;
	}
	for (unsigned i = 0; i < n && where->n < PROTO_PIECES; i++) {
		uint32_t size = (uint32_t)(t->size - 8 * i < 8 ? t->size - 8 * i : 8);

		if (c[i] == INTEGER)
			abi_put_int(s, where, 8 * i, size);
		else if (c[i] == SSE)
			abi_put_fp(s, where, 8 * i, size);
		else if (c[i] == SSEUP)
			abi_put_fp_word(s, where, 8 * i, i);
	}
}

static bool result(const struct proto_abi *abi, const struct proto_type *t, struct proto_location *where)
{
	static const char *const ints[] = { "$retval", "%dx" }, *const fps[] = { "$fpretval", "$fpretval2" };
	static const char *const x87[] = { "$x87retval", "$x87retval.1", "$x87retval2", "$x87retval2.1" };
	static const char *const words[PROTO_PIECES] = { NULL, "$fpretval.1", "$fpretval.2", "$fpretval.3" };
	enum class c[EIGHTBYTES];
	unsigned n = classes_of(abi, t, c), nint = 0, nfp = 0;

	if (t->kind == PROTO_VOID)
		return false;
	/* COMPLEX_X87: in st(0) and st(1), but in memory as an argument. */
	if (t->kind == PROTO_COMPLEX && t->size == 32 && !t->target->is_quad) {
		for (unsigned i = 0; i < 4; i++)
			abi_put_result(where, PROTO_IN_FETCH, x87[i], 8 * i, 8);
		return false;
	}
	if ((n && c[0] == MEMORY) || t->by_reference) {
		abi_put_result(where, PROTO_BEHIND, "$retval", 0, 0);
		return true;
	}
	if (n && c[0] == X87) {
		abi_put_result(where, PROTO_IN_FETCH, "$x87retval", 0, 8);
		abi_put_result(where, PROTO_IN_FETCH, "$x87retval.1", 8, 8);
		return false;
	}
	for (unsigned i = 0; i < n && where->n < PROTO_PIECES; i++) {
		uint32_t size = (uint32_t)(t->size - 8 * i < 8 ? t->size - 8 * i : 8);

		if (c[i] == INTEGER)
			abi_put_result(where, PROTO_IN_FETCH, ints[nint++], 8 * i, size);
		else if (c[i] == SSE)
			abi_put_result(where, PROTO_IN_FP, fps[nfp++], 8 * i, size);
		else if (c[i] == SSEUP)
			abi_put_result(where, PROTO_IN_FP, words[i], 8 * i, 8);
	}
	return false;
}

/* DWARF register numbers, figure 3.36. Those of arguments by their place, for who reads the definitions. */
static const char *const registers[] = {
	"%ax", "$arg3", "$arg4", "%bx", "$arg2", "$arg1", "%bp", NULL, "$arg5", "$arg6", "%r10", "%r11", "%r12",
	"%r13", "%r14", "%r15", NULL, "$fparg1", "$fparg2", "$fparg3", "$fparg4", "$fparg5", "$fparg6", "$fparg7",
	"$fparg8",
};

#define ABI									\
	.machine = EM_X86_64,							\
	.wide = true,								\
	.word = 8,								\
	.nints = 6,								\
	.nfps = 8,								\
	.cfa = 8,								\
	.stack = 8,	/* above the return address */				\
	.sp = "%sp",								\
	.registers = registers,							\
	.nregisters = sizeof(registers) / sizeof(registers[0]),			\
	.place = place,								\
	.result = result

static const struct proto_abi sse = { ABI, .vector = 16 };
static const struct proto_abi avx = { ABI, .vector = 32, .narrower = &sse };

const struct proto_abi proto_abi_x86_64 = { ABI, .vector = 64, .narrower = &avx };	/* AVX-512 */
