/* SPDX-License-Identifier: MIT */
/*
 * x86_64: call frame information for stubs, one FDE for a whole region of them.
 *
 * A stub's offset is pc & 63, so what would be rows of a table is computed by DWARF expressions
 * from the pc (register 16): each property of an offset is one bit of a 64-bit constant. See
 * arch-site.h for where sp is at each offset; slot is the address of the word that holds (or, while
 * the body runs, held) the return address.
 *
 *	CFA		slot + 12 + moved
 *	caller's rsp	slot + 8
 *	return address	at slot, or at slot ^ ARCH_SHADOW_XOR when moved
 *
 * The odd CFA: unwinders tell frames apart by it, so it must not be that of any neighbour. The
 * body's is slot + 8. A stub entered by a tail call has a second stub, at ARCH_STUB_RET, as its
 * caller, with the same slot; only that one is in the moved state.
 *
 * In a frame that is not the innermost, pc is the return address as it is (14, 28 or 47): unwinders
 * take pc - 1 for finding the FDE, not for the value of register 16.
 */
#include "unwind-put.h"

enum {
	REG_RSP			= 7,
	REG_RA			= 16,
};

/* Bits first..last: the offsets of a stub at which something holds. */
#define OFFSETS(first, last)	(((2ull << ((last) - (first))) - 1) << (first))

/* r11 is on the stack: sp = slot - 8 */
#define PUSHED	(OFFSETS(2, 15) | OFFSETS(35, 48))
/* behind the lea, and back from the body: sp = slot + 8 */
#define POPPED	OFFSETS(23, 32)
/*
 * The return address is in the shadow. It is there already at 18, and still there at 49; from 23
 * on the word at slot is the call's own, and at 47 the exit handler, if still running, may not
 * have put it back.
 */
#define MOVED	OFFSETS(23, 47)

/* Push 1 where the offset of this frame's pc is in @offsets, else 0. */
static void put_is_at(struct out *o, u64 offsets)
{
	put1(o, DW_OP_const8u);
	put8(o, offsets);
	put1(o, DW_OP_breg0 + REG_RA);
	put1(o, 0);
	put1(o, DW_OP_const1u);
	put1(o, FTRACE_STUB_SIZE - 1);
	put1(o, DW_OP_and);
	put1(o, DW_OP_shr);
	put1(o, DW_OP_lit0 + 1);
	put1(o, DW_OP_and);
}

static void put_cfa(struct out *o)
{
	u8 *begin;

	put1(o, DW_CFA_def_cfa_expr);
	begin = begin_expr(o);
	put1(o, DW_OP_breg0 + REG_RSP);
	put1(o, 12);
	put_is_at(o, PUSHED);
	put1(o, DW_OP_lit0 + 3);
	put1(o, DW_OP_shl);
	put1(o, DW_OP_plus);
	put_is_at(o, POPPED);
	put1(o, DW_OP_lit0 + 3);
	put1(o, DW_OP_shl);
	put1(o, DW_OP_minus);
	put_is_at(o, MOVED);
	put1(o, DW_OP_plus);
	end_expr(o, begin);
}

/* With the CFA on the expression's stack: replace it by slot + 12 - @less. */
static void put_from_slot(struct out *o, unsigned int less)
{
	put1(o, DW_OP_lit0 + less);
	put1(o, DW_OP_minus);
	put_is_at(o, MOVED);
	put1(o, DW_OP_minus);
}

static void put_caller_sp(struct out *o)
{
	u8 *begin;

	put1(o, DW_CFA_val_expression);
	put1(o, REG_RSP);
	begin = begin_expr(o);
	put_from_slot(o, 4);
	end_expr(o, begin);
}

static void put_return_address(struct out *o)
{
	u8 *begin;

	put1(o, DW_CFA_expression);
	put1(o, REG_RA);
	begin = begin_expr(o);
	put_from_slot(o, 12);
	put_is_at(o, MOVED);
	put1(o, DW_OP_const8u);
	put8(o, ARCH_SHADOW_XOR);
	put1(o, DW_OP_mul);
	put1(o, DW_OP_xor);
	end_expr(o, begin);
}

static void put_rules(struct out *o)
{
	put_cfa(o);
	put_caller_sp(o);
	put_return_address(o);
}

size_t arch_unwind_table(u8 *out, unsigned long at, unsigned long start, size_t len,
			 size_t *eh_frame)
{
	return put_table(out, at, start, len, eh_frame, REG_RA, 8, put_rules);
}
