/* SPDX-License-Identifier: MIT */
/*
 * The unwind table's programs, for two things: where a function's frame (CFA) is at each of its
 * instructions, and where its return address. What they say of other registers is passed over.
 */
#include "eh-frame.h"

u64 eh_read_uleb(const u8 **p, const u8 *end)
{
	unsigned int shift = 0;
	u64 v = 0;

	while (*p < end) {
		u8 byte = *(*p)++;

		if (shift < 64)
			v |= (u64)(byte & 0x7f) << shift;
		shift += 7;
		if (!(byte & 0x80))
			break;
	}
	return v;
}

s64 eh_read_sleb(const u8 **p, const u8 *end)
{
	const u8 *start = *p;
	u64 v = eh_read_uleb(p, end);
	size_t bits = 7 * (size_t)(*p - start);

	if (bits && bits < 64 && (*p)[-1] & 0x40)
		v |= ~0ull << bits;
	return (s64)v;
}

static void skip(struct eh_rows *r, u64 n)
{
	r->p = n < (u64)(r->end - r->p) ? r->p + n : r->end;
}

static u64 read_fixed(struct eh_rows *r, unsigned int size)
{
	const u8 *p = r->p;

	if ((size_t)(r->end - p) < size) {
		r->p = r->end;
		return 0;
	}
	r->p += size;
	return size == 1 ? *p : size == 2 ? elf_u16(r->elf, p) : elf_u32(r->elf, p);
}

static u64 uleb(struct eh_rows *r)
{
	return eh_read_uleb(&r->p, r->end);
}

/* Products of numbers of the file, which may be any. */
static s64 aligned(struct eh_rows *r)
{
	return (s64)((u64)eh_read_sleb(&r->p, r->end) * (u64)r->data_align);
}

static u8 reg(struct eh_rows *r)
{
	u64 n = uleb(r);

	return n < EH_NO_REG ? (u8)n : EH_NO_REG;
}

/* Register @n is saved at @offset from the frame, or (not @saved) something else is said of it. */
static void set_rule(struct eh_rows *r, u64 n, bool saved, s64 offset)
{
	if (n == r->ra_reg)
		r->ra = (struct eh_return){ saved, offset };
}

/* Everything but moving on. False: not known. */
static bool execute(struct eh_rows *r, u8 op)
{
	u64 n;

	switch (op) {
	case CFA_NOP:
		return true;
	case CFA_DEF_CFA:
		r->cfa.reg = reg(r);
		r->cfa.offset = (s64)uleb(r);
		return true;
	case CFA_DEF_CFA_SF:
		r->cfa.reg = reg(r);
		r->cfa.offset = aligned(r);
		return true;
	case CFA_DEF_CFA_REGISTER:
		r->cfa.reg = reg(r);
		return true;
	case CFA_DEF_CFA_OFFSET:
		r->cfa.offset = (s64)uleb(r);
		return true;
	case CFA_DEF_CFA_OFFSET_SF:
		r->cfa.offset = aligned(r);
		return true;
	case CFA_DEF_CFA_EXPRESSION:
		r->cfa.reg = EH_NO_REG;
		skip(r, uleb(r));
		return true;
	case CFA_REMEMBER_STATE:
		if (r->nstates == EH_MAX_STATES)
			return false;
		r->states[r->nstates].cfa = r->cfa;
		r->states[r->nstates++].ra = r->ra;
		return true;
	case CFA_RESTORE_STATE:
		if (!r->nstates)
			return false;
		r->cfa = r->states[--r->nstates].cfa;
		r->ra = r->states[r->nstates].ra;
		return true;
	case CFA_OFFSET_EXTENDED:
		n = uleb(r);
		set_rule(r, n, true, (s64)(uleb(r) * (u64)r->data_align));
		return true;
	case CFA_OFFSET_EXTENDED_SF:
		n = uleb(r);
		set_rule(r, n, true, aligned(r));
		return true;
	case CFA_REGISTER:
	case CFA_VAL_OFFSET:
	case CFA_VAL_OFFSET_SF:
	case CFA_GNU_NEGATIVE_OFFSET_EXTENDED:
		set_rule(r, uleb(r), false, 0);
		uleb(r);		/* signed or not, it is as long */
		return true;
	case CFA_RESTORE_EXTENDED:
		n = uleb(r);
		set_rule(r, n, r->ra_first.saved, r->ra_first.offset);
		return true;
	case CFA_UNDEFINED:
	case CFA_SAME_VALUE:
		set_rule(r, uleb(r), false, 0);
		return true;
	case CFA_GNU_ARGS_SIZE:
		uleb(r);
		return true;
	case CFA_EXPRESSION:
	case CFA_VAL_EXPRESSION:
		set_rule(r, uleb(r), false, 0);
		skip(r, uleb(r));
		return true;
	}
	if ((op & 0xc0) == CFA_OFFSET)
		set_rule(r, op & 0x3f, true, (s64)(uleb(r) * (u64)r->data_align));
	else if ((op & 0xc0) == CFA_RESTORE)
		set_rule(r, op & 0x3f, r->ra_first.saved, r->ra_first.offset);
	else
		return false;
	return true;
}

enum eh_step eh_rows_step(struct eh_rows *r, u64 *advance)
{
	u8 op;

	if (r->p >= r->end)
		return EH_STEP_END;
	op = *r->p++;
	if ((op & 0xc0) == CFA_ADVANCE)
		*advance = op & 0x3f;
	else if (op >= CFA_ADVANCE1 && op <= CFA_ADVANCE4)
		*advance = read_fixed(r, 1u << (op - CFA_ADVANCE1));
	else
		return execute(r, op) ? EH_STEP_OTHER : EH_STEP_UNKNOWN;
	*advance *= r->code_align;
	return EH_STEP_ADVANCE;
}

/* Up to the next row: *@advance, or up to the end. False: not known. */
static bool next_row(struct eh_rows *r, u64 *advance, bool *ended)
{
	enum eh_step step;

	do
		step = eh_rows_step(r, advance);
	while (step == EH_STEP_OTHER);
	*ended = step == EH_STEP_END;
	return step != EH_STEP_UNKNOWN;
}

bool eh_rows_open(struct eh_rows *r, const struct eh_frame *t, u32 i)
{
	struct eh_entry entry;
	const u8 *p, *fde;
	u64 advance;
	bool ended, sized;
	u8 version;

	if (!eh_frame_entry(t, i, &entry))
		return false;
	/* The common entry, as address_encoding() in eh-frame.c has gone through it before. */
	p = entry.cie;
	version = *p++;
	sized = p < entry.cie_end && *p == 'z';
	r->signal = false;
	for (; p < entry.cie_end && *p; p++)
		r->signal |= *p == 'S';
	if (p == entry.cie_end)
		return false;
	p++;
	r->elf = t->elf;
	r->code_align = eh_read_uleb(&p, entry.cie_end);
	r->data_align = eh_read_sleb(&p, entry.cie_end);
	if (version == 1 && p < entry.cie_end)
		r->ra_reg = *p++;
	else
		r->ra_reg = eh_read_uleb(&p, entry.cie_end);
	r->p = p;
	r->end = entry.cie_end;
	if (sized)
		skip(r, uleb(r));
	r->common = r->p;
	r->common_end = r->end;
	r->cfa.reg = EH_NO_REG;
	r->cfa.offset = 0;
	r->ra = r->ra_first = (struct eh_return){ false, 0 };
	r->nstates = 0;
	if (!next_row(r, &advance, &ended) || !ended)
		return false;
	r->ra_first = r->ra;

	fde = entry.fde + 2 * entry.addr_size;
	r->p = fde;
	r->end = entry.fde_end;
	if (sized)
		skip(r, uleb(r));
	r->from = r->to = eh_frame_start(t, i);
	r->last = r->from + entry.size;
	return r->last > r->from;
}

bool eh_rows_at(struct eh_rows *r, u64 pc)
{
	while (pc >= r->to) {
		u64 advance;
		bool ended;

		if (r->to >= r->last)
			return false;
		r->from = r->to;
		if (!next_row(r, &advance, &ended)) {
			r->from = r->to = r->last;
			return false;
		}
		r->to = ended || advance > r->last - r->from ? r->last : r->from + advance;
	}
	return pc >= r->from;
}
