/* SPDX-License-Identifier: MIT */
/* The unwind table's programs, whole: from an entry and a pc to the rules in force there. */
#include "unwind-stack.h"

#define STATES	3u	/* of DW_CFA_remember_state; compilers nest one, and stacks may be small */

struct program {
	const struct elf *elf;
	const u8 *p, *end;
	u64 code_align;
	s64 data_align;
	struct unwind_row *row;
	const struct unwind_row *first;		/* as the common entry has it; NULL: it is being run */
	struct unwind_row states[STATES];
	u32 nstates;
};

static u64 uleb(struct program *c)
{
	return eh_read_uleb(&c->p, c->end);
}

static s64 factored_signed(struct program *c)
{
	return (s64)((u64)eh_read_sleb(&c->p, c->end) * (u64)c->data_align);
}

static s64 factored(struct program *c)
{
	return (s64)(uleb(c) * (u64)c->data_align);
}

static u64 fixed(struct program *c, unsigned int size)
{
	const u8 *p = c->p;

	if ((size_t)(c->end - p) < size) {
		c->p = c->end;
		return 0;
	}
	c->p += size;
	return size == 1 ? *p : size == 2 ? elf_u16(c->elf, p) : elf_u32(c->elf, p);
}

/* Rules of registers that are not kept are read and forgotten. */
static void set(struct program *c, u64 reg, enum unwind_how how, s64 value)
{
	if (reg < ARCH_UNWIND_REGS)
		c->row->rule[reg] = (struct unwind_rule){ .how = (u8)how, .value = value };
}

static struct unwind_rule expression(struct program *c, enum unwind_how how)
{
	struct unwind_rule rule = { .how = (u8)how };
	u64 len = uleb(c);

	if (len > (u64)(c->end - c->p))
		len = (u64)(c->end - c->p);
	rule.expr = c->p;
	c->p += len;
	rule.expr_end = c->p;
	return rule;
}

static void set_cfa(struct program *c, u64 reg, s64 offset)
{
	c->row->cfa = (struct unwind_rule){ .how = UNWIND_REGISTER, .value = (s64)reg };
	c->row->cfa_offset = offset;
}

static void restore(struct program *c, u64 reg)
{
	if (reg < ARCH_UNWIND_REGS)
		c->row->rule[reg] = c->first ? c->first->rule[reg] : (struct unwind_rule){ 0 };
}

static bool execute_rule(struct program *c, u8 op)
{
	struct unwind_rule rule;
	u64 reg = uleb(c);

	switch (op) {
	case CFA_OFFSET_EXTENDED:
		set(c, reg, UNWIND_OFFSET, factored(c));
		return true;
	case CFA_OFFSET_EXTENDED_SF:
		set(c, reg, UNWIND_OFFSET, factored_signed(c));
		return true;
	case CFA_GNU_NEGATIVE_OFFSET_EXTENDED:
		set(c, reg, UNWIND_OFFSET, -factored(c));
		return true;
	case CFA_VAL_OFFSET:
		set(c, reg, UNWIND_VAL_OFFSET, factored(c));
		return true;
	case CFA_VAL_OFFSET_SF:
		set(c, reg, UNWIND_VAL_OFFSET, factored_signed(c));
		return true;
	case CFA_RESTORE_EXTENDED:
		restore(c, reg);
		return true;
	case CFA_UNDEFINED:
		set(c, reg, UNWIND_UNDEFINED, 0);
		return true;
	case CFA_SAME_VALUE:
		set(c, reg, UNWIND_SAME, 0);
		return true;
	case CFA_REGISTER:
		set(c, reg, UNWIND_REGISTER, (s64)uleb(c));
		return true;
	case CFA_EXPRESSION:
	case CFA_VAL_EXPRESSION:
		rule = expression(c, op == CFA_EXPRESSION ? UNWIND_EXPRESSION :
							    UNWIND_VAL_EXPRESSION);
		if (reg < ARCH_UNWIND_REGS)
			c->row->rule[reg] = rule;
		return true;
	}
	return false;
}

/* Everything but moving on. False: not known. */
static bool execute(struct program *c, u8 op)
{
	u64 reg;

	switch (op) {
	case CFA_NOP:
		return true;
	case CFA_DEF_CFA:
		reg = uleb(c);
		set_cfa(c, reg, (s64)uleb(c));
		return true;
	case CFA_DEF_CFA_SF:
		reg = uleb(c);
		set_cfa(c, reg, factored_signed(c));
		return true;
	case CFA_DEF_CFA_REGISTER:
		set_cfa(c, uleb(c), c->row->cfa_offset);
		return true;
	case CFA_DEF_CFA_OFFSET:
		c->row->cfa_offset = (s64)uleb(c);
		return true;
	case CFA_DEF_CFA_OFFSET_SF:
		c->row->cfa_offset = factored_signed(c);
		return true;
	case CFA_DEF_CFA_EXPRESSION:
		c->row->cfa = expression(c, UNWIND_VAL_EXPRESSION);
		return true;
	case CFA_REMEMBER_STATE:
		if (c->nstates == STATES)
			return false;
		c->states[c->nstates++] = *c->row;
		return true;
	case CFA_RESTORE_STATE:
		if (!c->nstates)
			return false;
		*c->row = c->states[--c->nstates];
		return true;
	case CFA_GNU_ARGS_SIZE:
		uleb(c);
		return true;
	}
	if ((op & 0xc0) == CFA_OFFSET)
		set(c, op & 0x3f, UNWIND_OFFSET, factored(c));
	else if ((op & 0xc0) == CFA_RESTORE)
		restore(c, op & 0x3f);
	else
		return execute_rule(c, op);
	return true;
}

/* Run up to the row of @pc, @at being where the first one begins. */
static bool run(struct program *c, u64 at, u64 pc)
{
	while (c->p < c->end) {
		u8 op = *c->p++;
		u64 advance;

		if ((op & 0xc0) == CFA_ADVANCE)
			advance = op & 0x3f;
		else if (op >= CFA_ADVANCE1 && op <= CFA_ADVANCE4)
			advance = fixed(c, 1u << (op - CFA_ADVANCE1));
		else if (execute(c, op))
			continue;
		else
			return false;
		at += advance * c->code_align;
		if (at > pc)
			return true;
	}
	return true;
}

bool unwind_row(const struct eh_frame *t, u32 i, u64 pc, struct unwind_row *row)
{
	struct unwind_row first;
	struct eh_entry entry;
	struct program c = { .elf = t->elf, .row = row };
	const u8 *aug;
	bool sized;
	u8 version;
	u64 len;

	if (!eh_frame_entry(t, i, &entry) || entry.cie == entry.cie_end)
		return false;
	ft_memset(row, 0, sizeof(*row));
	/* The common entry, as address_encoding() in eh-frame.c has gone through it before. */
	c.p = entry.cie;
	c.end = entry.cie_end;
	version = *c.p++;
	aug = c.p;
	sized = c.p < c.end && *aug == 'z';
	for (; c.p < c.end && *c.p; c.p++)
		row->signal |= *c.p == 'S';
	if (c.p == c.end)
		return false;
	c.p++;
	c.code_align = uleb(&c);
	c.data_align = eh_read_sleb(&c.p, c.end);
	row->ra = (u32)(version == 1 ? fixed(&c, 1) : uleb(&c));
	if (row->ra >= ARCH_UNWIND_REGS)
		return false;
	len = sized ? uleb(&c) : 0;
	if (len > (u64)(c.end - c.p))
		return false;
	c.p += len;
	if (!run(&c, 0, ~0ull))
		return false;

	first = *row;
	c.first = &first;
	c.p = entry.fde + 2 * entry.addr_size;
	c.end = entry.fde_end;
	len = sized ? uleb(&c) : 0;
	if (len > (u64)(c.end - c.p))
		return false;
	c.p += len;
	return run(&c, eh_frame_start(t, i), pc);
}
