/* SPDX-License-Identifier: MIT */
/* System V application binary interface, Intel386 supplement: everything is on the stack. */
#include <elf.h>

#include "prototype/abi.h"

static void place(struct abi_state *s, const struct proto_type *t, struct proto_location *where)
{
	if (t->by_reference)
		abi_put_address(s, where);
	else if (t->kind == PROTO_VECTOR || (t->kind == PROTO_UNKNOWN && !t->size))
		s->lost = true;		/* the first three in registers, if it has them */
	else if (t->size)
		abi_put_stack(s, where, t->size, t->align > 8 && t->kind == PROTO_STRUCT ? t->align : 4);
	else if (t->is_class)
		s->stack += 4;
}

static bool result(const struct proto_abi *abi, const struct proto_type *t, struct proto_location *where)
{
	if (t->kind == PROTO_VOID || t->kind == PROTO_VECTOR)
		return false;
	if (abi_is_aggregate(t) || t->by_reference || (t->kind == PROTO_COMPLEX && t->size > 8)) {
		abi_put_result(where, PROTO_BEHIND, "$retval", 0, 0);
		return true;
	}
	if (t->kind == PROTO_FLOAT) {
		abi_put_result(where, PROTO_IN_FP, "$fpretval", 0, 0);
	} else if (t->size <= 4) {
		abi_put_result(where, PROTO_IN_FETCH, "$retval", 0, 0);
	} else if (t->size == 8) {
		abi_put_result(where, PROTO_IN_FETCH, "$retval", 0, 4);
		abi_put_result(where, PROTO_IN_FETCH, "%dx", 4, 4);
	}
	return false;
}

/* Of functions that only their own file calls: -mregparm as gcc chooses it. */
static const char *const registers[] = { "%ax", "%cx", "%dx", "%bx", NULL, "%bp", "%si", "%di" };

const struct proto_abi proto_abi_i386 = {
	.machine = EM_386,
	.wide = false,
	.word = 4,
	.cfa = 4,
	.stack = 4,	/* above the return address */
	.sp = "%sp",
	.registers = registers,
	.nregisters = sizeof(registers) / sizeof(registers[0]),
	.place = place,
	.result = result,
};
