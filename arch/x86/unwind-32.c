/* SPDX-License-Identifier: MIT */
/*
 * i386: call frame information for stubs, one FDE for a whole region of them. As unwind.c, with these
 * differences.
 *
 * Unwinders calculate with words of 32 bits, so the offset in the stub, pc & 63, is compared with
 * bounds. The shadow is found through ftrace_shadow_pages. Behind a return, what the function took off
 * the stack stands in the site's dyn_ftrace.
 *
 *	CFA		slot + 5 + moved
 *	caller's esp	slot + 4
 *	return address	at slot, or in its shadow when moved
 *
 * The body's CFA is slot + 4, its caller's slot + 8 at least. One instruction is not told from the
 * return address that it is in all other frames: the first behind the return. There an unwinder
 * in a signal handler sees a wrong caller, if the function takes something off the stack.
 */
#include "unwind-put.h"

enum {
	REG_ESP			= 4,
	REG_RA			= 8,
};

static void put_const(struct out *o, u32 v)
{
	put1(o, DW_OP_const4u);
	put4(o, v);
}

/* Push whether the offset of this frame's pc is at least (@op DW_OP_ge) or at most @bound. */
static void put_bound(struct out *o, unsigned int op, unsigned int bound)
{
	put1(o, DW_OP_breg0 + REG_RA);
	put1(o, 0);
	put1(o, DW_OP_const1u);
	put1(o, FTRACE_STUB_SIZE - 1);
	put1(o, DW_OP_and);
	put1(o, DW_OP_const1u);
	put1(o, bound);
	put1(o, op);
}

static void put_is_in(struct out *o, unsigned int first, unsigned int last)
{
	put_bound(o, DW_OP_ge, first);
	put_bound(o, DW_OP_le, last);
	put1(o, DW_OP_and);
}

/* The return address is in the shadow; at 37 the exit handler may not have put it back. */
static void put_is_moved(struct out *o)
{
	put_is_in(o, 17, ARCH_STUB_EXIT_RET);
}

/* Add (@op DW_OP_plus) or subtract a word if the offset is from @first to @last. */
static void put_word_if(struct out *o, unsigned int op, unsigned int first, unsigned int last)
{
	put_is_in(o, first, last);
	put1(o, DW_OP_lit0 + 2);
	put1(o, DW_OP_shl);
	put1(o, op);
}

/* Push what this stub's function takes off the stack, if it has returned; else 0. */
static void put_pop(struct out *o)
{
	put1(o, DW_OP_breg0 + REG_RA);
	put1(o, 0);
	put1(o, DW_OP_breg0 + REG_RA);
	put1(o, 0);
	put1(o, DW_OP_const1u);
	put1(o, FTRACE_STUB_SIZE - 1);
	put1(o, DW_OP_and);
	put1(o, DW_OP_minus);
	put_const(o, FTRACE_CHUNK_CODE + offsetof(struct dyn_ftrace, pop));
	put1(o, DW_OP_plus);
	put1(o, DW_OP_deref);
	put_bound(o, DW_OP_ge, 26);
	put1(o, DW_OP_mul);
}

static void put_cfa(struct out *o)
{
	u8 *begin;

	put1(o, DW_CFA_def_cfa_expr);
	begin = begin_expr(o);
	put1(o, DW_OP_breg0 + REG_ESP);
	put1(o, 5);
	put_word_if(o, DW_OP_plus, 5, 10);
	put_word_if(o, DW_OP_plus, 31, 36);
	put_word_if(o, DW_OP_minus, 17, 25);
	put_pop(o);
	put1(o, DW_OP_minus);
	put_is_moved(o);
	put1(o, DW_OP_plus);
	end_expr(o, begin);
}

/* With the CFA on the expression's stack: replace it by slot + 5 - @less. */
static void put_from_slot(struct out *o, unsigned int less)
{
	put1(o, DW_OP_lit0 + less);
	put1(o, DW_OP_minus);
	put_is_moved(o);
	put1(o, DW_OP_minus);
}

static void put_caller_sp(struct out *o)
{
	u8 *begin;

	put1(o, DW_CFA_val_expression);
	put1(o, REG_ESP);
	begin = begin_expr(o);
	put_from_slot(o, 1);
	end_expr(o, begin);
}

static void put_return_address(struct out *o)
{
	u8 *begin, *jump;

	put1(o, DW_CFA_expression);
	put1(o, REG_RA);
	begin = begin_expr(o);
	put_from_slot(o, 5);
	put_is_moved(o);
	put1(o, DW_OP_lit0);
	put1(o, DW_OP_eq);
	put1(o, DW_OP_bra);		/* to the end: the slot itself */
	jump = o->p;
	put1(o, 0);
	put1(o, 0);
	put1(o, DW_OP_dup);		/* arch_shadow() */
	put1(o, DW_OP_const1u);
	put1(o, __builtin_ctzl(FT_PAGE_SIZE));
	put1(o, DW_OP_shr);
	put1(o, DW_OP_lit0 + 2);
	put1(o, DW_OP_shl);
	put_const(o, (unsigned long)ftrace_shadow_pages);
	put1(o, DW_OP_plus);
	put1(o, DW_OP_deref);
	put1(o, DW_OP_swap);
	put1(o, DW_OP_lit0 + __builtin_ctzl(ARCH_SHADOW_WORDS));
	put1(o, DW_OP_shl);
	put1(o, DW_OP_plus);
	*jump = o->p - (jump + 2);
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
	return put_table(out, at, start, len, eh_frame, REG_RA, 4, put_rules);
}
