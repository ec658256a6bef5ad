/* SPDX-License-Identifier: MIT */
/* ELF application binary interface, s390x and s390 supplements: parameter passing. */
#include <elf.h>

#include "prototype/abi.h"

/* The float that is all a structure has: it is passed as one. */
static const struct proto_type *only_float(const struct proto_type *t)
{
	while (t->kind == PROTO_STRUCT && t->nmembers == 1 && t->members[0].type->size == t->size)
		t = t->members[0].type;
	return t->kind == PROTO_FLOAT && t->size <= 8 ? t : NULL;
}

static void place(struct abi_state *s, const struct proto_type *t, struct proto_location *where)
{
	uint64_t size = t->size;
	unsigned word = s->abi->word, registers = size > word ? 2 : 1;

	if (t->kind == PROTO_VECTOR || (t->kind == PROTO_UNKNOWN && !size)) {
		s->lost = true;
	} else if (!size) {
		return;
	} else if (t->by_reference || t->kind == PROTO_COMPLEX || size > 8 || (size & (size - 1))) {
		abi_put_address(s, where);
	} else if (only_float(t) && s->fps < s->abi->nfps) {
		abi_put_fp(s, where, 0, 0);
	} else if (only_float(t)) {
		abi_put_stack(s, where, size, word);
	} else if (s->ints + registers <= s->abi->nints) {
		for (unsigned i = 0; i < registers; i++)
			abi_put_int(s, where, i * word, size > word ? word : (uint32_t)size);
	} else {
		/* Who did not find two registers does not leave one to others. */
		if (registers > 1)
			s->ints = s->abi->nints;
		abi_put_stack(s, where, size, word);
	}
}

static bool result(const struct proto_abi *abi, const struct proto_type *t, struct proto_location *where)
{
	if (t->kind == PROTO_VOID || t->kind == PROTO_VECTOR)
		return false;
	if (abi_is_aggregate(t) || t->by_reference || t->kind == PROTO_COMPLEX || t->size > 8) {
		abi_put_result(where, PROTO_BEHIND, "$retval", 0, 0);
		return true;
	}
	if (t->kind == PROTO_FLOAT) {
		abi_put_result(where, PROTO_IN_FP, "$fpretval", 0, 0);
	} else if (t->size <= abi->word) {
		abi_put_result(where, PROTO_IN_FETCH, "$retval", 0, 0);
	} else {
		abi_put_result(where, PROTO_IN_FETCH, "$retval", 0, abi->word);
		abi_put_result(where, PROTO_IN_FETCH, "%r3", abi->word, abi->word);
	}
	return false;
}

/* Numbers 16 to 19 are f0, f2, f4, f6. */
static const char *const registers[] = {
	"%r0", "%r1", "$arg1", "$arg2", "$arg3", "$arg4", "$arg5", "%r7", "%r8", "%r9", "%r10", "%r11", "%r12",
	"%r13", NULL, NULL, "$fparg1", "$fparg2", "$fparg3", "$fparg4",
};

const struct proto_abi proto_abi_s390x = {
	.machine = EM_S390,
	.wide = true,
	.big_endian = true,
	.word = 8,
	.nints = 5,
	.nfps = 4,
	.cfa = 160,
	.stack = 160,
	.sp = "%r15",
	.registers = registers,
	.nregisters = sizeof(registers) / sizeof(registers[0]),
	.place = place,
	.result = result,
};

const struct proto_abi proto_abi_s390 = {
	.machine = EM_S390,
	.wide = false,
	.big_endian = true,
	.word = 4,
	.nints = 5,
	.nfps = 2,
	.cfa = 96,
	.stack = 96,
	.sp = "%r15",
	.registers = registers,
	.nregisters = sizeof(registers) / sizeof(registers[0]) - 2,
	.place = place,
	.result = result,
};
