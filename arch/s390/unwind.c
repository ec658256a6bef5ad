/* SPDX-License-Identifier: MIT */
/*
 * s390, both widths: call frame information for stubs, one FDE each.
 *
 * On x86 one FDE does for all, its rules being expressions of the pc. Here the return address is in
 * a register, r14, and no column of the unwind table holds the pc where a signal has interrupted the
 * stub itself. So every stub has rows of its own:
 *
 *	from 0	the return address is in r14, as at any function's entry
 *	from 6	it is in the save area above sp (and in r14 again, later)
 *	from 43	it is in the shadow of sp. The body's call ends at 44, and unwinders look for the
 *		address before the one that a call returns to
 *
 * sp never moves, so it needs no rule. Unwinders tell frames apart by the CFA, which for the body is sp +
 * ARCH_ABI_FRAME: a stub's is 4 more, and yet one more from 43 on, because a stub that was entered by a
 * tail call has another one, at 44, as its caller. But where a signal handler is traced, its stub's caller is the
 * kernel's sigreturn, which has no unwind entry, and libgcc finds the interrupted registers by that CFA: there
 * it is the body's. The system call at the return address tells.
 */
#include "arch.h"
#include "../../engine/site.h"

enum {
	DW_EH_PE_udata4		= 0x03,
	DW_EH_PE_sdata4		= 0x0b,
	DW_EH_PE_pcrel		= 0x10,
	DW_EH_PE_datarel	= 0x30,

	DW_CFA_nop		= 0x00,
	DW_CFA_advance_loc	= 0x40,
	DW_CFA_def_cfa_expression = 0x0f,
	DW_CFA_expression	= 0x10,

	DW_OP_deref		= 0x06,
	DW_OP_const1u		= 0x08,
	DW_OP_const4u		= 0x0c,
	DW_OP_and		= 0x1a,
	DW_OP_mul		= 0x1e,
	DW_OP_plus		= 0x22,
	DW_OP_shl		= 0x24,
	DW_OP_shr		= 0x25,
	DW_OP_xor		= 0x27,
	DW_OP_ne		= 0x2e,
	DW_OP_lit0		= 0x30,
	DW_OP_breg0		= 0x70,
	DW_OP_deref_size	= 0x94,

	REG_RA			= 14,
	REG_SP			= 15,

	DATA_ALIGN		= 4,	/* negative */
	SAVED_FROM		= 6,	/* the first stmg's end */
	MOVED_FROM		= ARCH_STUB_RET - 1,
	SVC			= 0x0a,		/* the first byte of a system call */
};

struct out {
	u8 *p;
};

static void put1(struct out *o, unsigned int v)
{
	*o->p++ = (u8)v;
}

static void put4(struct out *o, u32 v)
{
	for (int i = 24; i >= 0; i -= 8)
		put1(o, v >> i);
}

static void store4(u8 *at, u32 v)
{
	struct out o = { at };

	put4(&o, v);
}

/* Fill up an entry that begins at @entry and write its length. */
static void end_entry(struct out *o, u8 *entry)
{
	while ((o->p - entry) % 4)
		put1(o, DW_CFA_nop);
	store4(entry, (u32)(o->p - entry - 4));
}

/* The address of the word that holds the moved return address. */
static void put_shadow(struct out *o)
{
	put1(o, DW_OP_breg0 + REG_SP);
	put1(o, 0);
#ifdef ARCH_SHADOW_XOR
	put1(o, DW_OP_lit0 + 1);
	put1(o, DW_OP_const1u);
	put1(o, ARCH_SHADOW_BIT);
	put1(o, DW_OP_shl);
	put1(o, DW_OP_xor);
#else
	put1(o, DW_OP_lit0 + 2);	/* ARCH_SHADOW_WORDS */
	put1(o, DW_OP_shl);
	put1(o, DW_OP_breg0 + REG_SP);
	put1(o, 0);
	put1(o, DW_OP_lit0 + 12);	/* FT_PAGE_SIZE */
	put1(o, DW_OP_shr);
	put1(o, DW_OP_lit0 + 2);
	put1(o, DW_OP_shl);
	put1(o, DW_OP_const4u);
	put4(o, (u32)(unsigned long)ftrace_shadow_pages);
	put1(o, DW_OP_plus);
	put1(o, DW_OP_deref);
	put1(o, DW_OP_plus);
#endif
}

/* An expression begins: room for its length. */
static u8 *begin_expression(struct out *o)
{
	put1(o, 0);
	return o->p;
}

static void end_expression(struct out *o, u8 *begin)
{
	begin[-1] = (u8)(o->p - begin);
}

/* Ends the expression of a CFA, which began with the return address: @more than the body's, as a rule. */
static void put_cfa(struct out *o, u8 *begin, unsigned int more)
{
	if (sizeof(long) == 4) {
		put1(o, DW_OP_const4u);
		put4(o, 0x7fffffff);
		put1(o, DW_OP_and);
	}
	put1(o, DW_OP_deref_size);
	put1(o, 1);
	put1(o, DW_OP_lit0 + SVC);
	put1(o, DW_OP_ne);
	put1(o, DW_OP_lit0 + more);
	put1(o, DW_OP_mul);
	put1(o, DW_OP_breg0 + REG_SP);
	put1(o, 0x80 | (ARCH_ABI_FRAME & 0x7f));	/* a signed number, in two bytes */
	put1(o, ARCH_ABI_FRAME >> 7);
	put1(o, DW_OP_plus);
	end_expression(o, begin);
}

static void put_first_row(struct out *o)
{
	u8 *begin;

	put1(o, DW_CFA_def_cfa_expression);
	begin = begin_expression(o);
	put1(o, DW_OP_breg0 + REG_RA);
	put1(o, 0);
	put_cfa(o, begin, 4);
}

static void put_rows(struct out *o)
{
	u8 *begin;

	put1(o, DW_CFA_advance_loc | SAVED_FROM);
	put1(o, DW_CFA_def_cfa_expression);
	begin = begin_expression(o);
	put1(o, DW_OP_breg0 + REG_SP);
	put1(o, ARCH_SAVE_AREA);
	put1(o, DW_OP_deref);
	put_cfa(o, begin, 4);
	put1(o, DW_CFA_expression);
	put1(o, REG_RA);
	begin = begin_expression(o);
	put1(o, DW_OP_breg0 + REG_SP);
	put1(o, ARCH_SAVE_AREA);
	end_expression(o, begin);

	put1(o, DW_CFA_advance_loc | (MOVED_FROM - SAVED_FROM));
	put1(o, DW_CFA_def_cfa_expression);
	begin = begin_expression(o);
	put_shadow(o);
	put1(o, DW_OP_deref);
	put_cfa(o, begin, 5);
	put1(o, DW_CFA_expression);
	put1(o, REG_RA);
	begin = begin_expression(o);
	put_shadow(o);
	end_expression(o, begin);
}

static bool fits(long d)
{
	return d == (s32)d;
}

size_t arch_unwind_table(u8 *out, unsigned long at, unsigned long start, size_t len,
			 size_t *eh_frame)
{
	u32 n = (u32)(len / (2 * FTRACE_CHUNK_CODE)) * FTRACE_CHUNK_SITES;
	struct out o = { out };
	u8 *cie, *row;

	if (len > INT32_MAX || !fits((long)(start - at)) ||
	    !fits((long)(start - (at + ARCH_UNWIND_SIZE(n)))))
		return 0;

	/* .eh_frame_hdr: a search table of @n rows; addresses relative to the header */
	put1(&o, 1);
	put1(&o, DW_EH_PE_pcrel | DW_EH_PE_sdata4);
	put1(&o, DW_EH_PE_udata4);
	put1(&o, DW_EH_PE_datarel | DW_EH_PE_sdata4);
	put4(&o, 8 + 8 * n);		/* to the .eh_frame, from this word */
	put4(&o, n);
	row = o.p;
	o.p += 8ul * n;

	cie = o.p;
	put4(&o, 0);			/* length: below */
	put4(&o, 0);			/* a CIE */
	put1(&o, 1);			/* version */
	put1(&o, 'z');
	put1(&o, 'R');
	put1(&o, 0);
	put1(&o, 1);			/* code alignment */
	put1(&o, 0x80 - DATA_ALIGN);	/* data alignment */
	put1(&o, REG_RA);
	put1(&o, 1);			/* length of augmentation data */
	put1(&o, DW_EH_PE_pcrel | DW_EH_PE_sdata4);
	put_first_row(&o);
	end_entry(&o, cie);

	for (u32 i = 0; i < n; i++) {
		unsigned long stub = start + i / FTRACE_CHUNK_SITES * 2ul * FTRACE_CHUNK_CODE +
				     i % FTRACE_CHUNK_SITES * FTRACE_STUB_SIZE;
		u8 *fde = o.p;

		store4(row + 8 * i, (u32)(stub - at));
		store4(row + 8 * i + 4, (u32)(fde - out));
		put4(&o, 0);
		put4(&o, (u32)(o.p - cie));		/* back to the CIE */
		put4(&o, (u32)(stub - (at + (unsigned long)(o.p - out))));
		put4(&o, FTRACE_STUB_SIZE);
		put1(&o, 0);				/* no augmentation data */
		put_rows(&o);
		end_entry(&o, fde);
	}
	put4(&o, 0);			/* end of .eh_frame */
	if (eh_frame)
		*eh_frame = (size_t)(cie - out);
	return (size_t)(o.p - out);
}
