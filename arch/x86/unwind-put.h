/* SPDX-License-Identifier: MIT */
/* x86, both widths: writing call frame information; for unwind.c, unwind-32.c and trampoline.c. */
#ifndef FTRACE_ARCH_UNWIND_PUT_H
#define FTRACE_ARCH_UNWIND_PUT_H

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
	DW_CFA_offset		= 0x80,

	DW_OP_deref		= 0x06,
	DW_OP_const1u		= 0x08,
	DW_OP_const2u		= 0x0a,
	DW_OP_const4u		= 0x0c,
	DW_OP_const8u		= 0x0e,
	DW_OP_dup		= 0x12,
	DW_OP_swap		= 0x16,
	DW_OP_and		= 0x1a,
	DW_OP_minus		= 0x1c,
	DW_OP_mod		= 0x1d,
	DW_OP_mul		= 0x1e,
	DW_OP_or		= 0x21,
	DW_OP_plus		= 0x22,
	DW_OP_shl		= 0x24,
	DW_OP_shr		= 0x25,
	DW_OP_xor		= 0x27,
	DW_OP_bra		= 0x28,
	DW_OP_eq		= 0x29,
	DW_OP_ge		= 0x2a,
	DW_OP_le		= 0x2c,
	DW_OP_lt		= 0x2d,
	DW_OP_skip		= 0x2f,
	DW_OP_lit0		= 0x30,
	DW_OP_breg0		= 0x70,
};

struct out {
	u8 *p;
};

static inline void put1(struct out *o, unsigned int v)
{
	*o->p++ = v;
}

static inline void put4(struct out *o, u32 v)
{
	for (int i = 0; i < 4; i++)
		put1(o, v >> 8 * i & 0xff);
}

static inline void put8(struct out *o, u64 v)
{
	put4(o, v);
	put4(o, v >> 32);
}

static inline void store4(u8 *at, u32 v)
{
	struct out o = {at};

	put4(&o, v);
}

static inline u8 *begin_expr(struct out *o)
{
	put1(o, 0);
	return o->p;
}

static inline void end_expr(struct out *o, u8 *begin)
{
	begin[-1] = o->p - begin;	/* all are shorter than 128 bytes: one byte of uleb128 */
}

/* Fill up an entry that begins at @entry and write its length. */
static inline void end_entry(struct out *o, u8 *entry)
{
	while ((o->p - entry) % 8)
		put1(o, DW_CFA_nop);
	store4(entry, o->p - entry - 4);
}

static inline bool fits(long d)
{
	return d == (s32)d;
}

/*
 * arch_unwind_table(), for return addresses in column @ra, words of @word bytes, and the rules that
 * @rules writes.
 */
static inline size_t put_table(u8 *out, unsigned long at, unsigned long start, size_t len,
			       size_t *eh_frame, unsigned int ra, unsigned int word,
			       void (*rules)(struct out *o))
{
	struct out o = {out};
	u8 *cie, *fde;

	if (len > INT32_MAX || !fits(start - at) || !fits(start - (at + ARCH_UNWIND_SIZE(0))))
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
	put1(&o, 0x80 - word);		/* data alignment: -word */
	put1(&o, ra);
	put1(&o, 1);			/* length of augmentation data */
	put1(&o, DW_EH_PE_pcrel | DW_EH_PE_sdata4);
	rules(&o);
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

#endif /* FTRACE_ARCH_UNWIND_PUT_H */
