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
#include "arch.h"
#include "../../engine/site.h"

enum {
	DW_EH_PE_udata4		= 0x03,
	DW_EH_PE_sdata4		= 0x0b,
	DW_EH_PE_pcrel		= 0x10,
	DW_EH_PE_datarel	= 0x30,

	DW_CFA_nop		= 0x00,
	DW_CFA_def_cfa_expr	= 0x0f,
	DW_CFA_expression	= 0x10,
	DW_CFA_val_expression	= 0x16,

	DW_OP_const1u		= 0x08,
	DW_OP_const8u		= 0x0e,
	DW_OP_and		= 0x1a,
	DW_OP_minus		= 0x1c,
	DW_OP_plus		= 0x22,
	DW_OP_shl		= 0x24,
	DW_OP_shr		= 0x25,
	DW_OP_xor		= 0x27,
	DW_OP_lit0		= 0x30,
	DW_OP_breg0		= 0x70,

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

struct out {
	u8 *p;
};

static void put1(struct out *o, unsigned int v)
{
	*o->p++ = v;
}

static void put4(struct out *o, u32 v)
{
	for (int i = 0; i < 4; i++)
		put1(o, v >> 8 * i & 0xff);
}

static void put8(struct out *o, u64 v)
{
	put4(o, v);
	put4(o, v >> 32);
}

static void store4(u8 *at, u32 v)
{
	struct out o = {at};

	put4(&o, v);
}

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

static u8 *begin_expr(struct out *o)
{
	put1(o, 0);
	return o->p;
}

static void end_expr(struct out *o, u8 *begin)
{
	begin[-1] = o->p - begin;	/* all are shorter than 128 bytes: one byte of uleb128 */
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
	put1(o, DW_OP_const1u);
	put1(o, ARCH_SHADOW_BIT);
	put1(o, DW_OP_shl);
	put1(o, DW_OP_xor);
	end_expr(o, begin);
}

/* Fill up an entry that begins at @entry and write its length. */
static void end_entry(struct out *o, u8 *entry)
{
	while ((o->p - entry) % 8)
		put1(o, DW_CFA_nop);
	store4(entry, o->p - entry - 4);
}

static bool fits(long d)
{
	return d == (s32)d;
}

size_t arch_unwind_table(u8 *out, unsigned long at, unsigned long start, size_t len,
			 size_t *eh_frame)
{
	struct out o = {out};
	u8 *cie, *fde;

	if (len > INT32_MAX || !fits(start - at) || !fits(start - (at + ARCH_UNWIND_SIZE)))
		return 0;

	/* .eh_frame_hdr: a search table of one row; addresses relative to the header */
	put1(&o, 1);
	put1(&o, DW_EH_PE_pcrel | DW_EH_PE_sdata4);
	put1(&o, DW_EH_PE_udata4);
	put1(&o, DW_EH_PE_datarel | DW_EH_PE_sdata4);
	put4(&o, 20 - 4);		/* to the .eh_frame, from this word */
	put4(&o, 1);			/* rows */
	put4(&o, start - at);
	put4(&o, 0);			/* the FDE: below */

	cie = o.p;
	put4(&o, 0);			/* length: below */
	put4(&o, 0);			/* a CIE */
	put1(&o, 1);			/* version */
	put1(&o, 'z');
	put1(&o, 'R');
	put1(&o, 0);
	put1(&o, 1);			/* code alignment */
	put1(&o, 0x78);			/* data alignment: -8 */
	put1(&o, REG_RA);
	put1(&o, 1);			/* length of augmentation data */
	put1(&o, DW_EH_PE_pcrel | DW_EH_PE_sdata4);
	put_cfa(&o);
	put_caller_sp(&o);
	put_return_address(&o);
	end_entry(&o, cie);

	fde = o.p;
	put4(&o, 0);
	put4(&o, o.p - cie);		/* back to the CIE */
	put4(&o, start - (at + (o.p - out)));
	put4(&o, len);
	put1(&o, 0);			/* no augmentation data */
	end_entry(&o, fde);
	put4(&o, 0);			/* end of .eh_frame */

	store4(out + 16, fde - out);
	if (eh_frame)
		*eh_frame = cie - out;
	return o.p - out;
}
