/* SPDX-License-Identifier: MIT */
/*
 * x86, both widths: instructions moved elsewhere, as a plan says it (engine/plan.h). One mover for the
 * planner, which moves functions' first instructions, and for probes, which move those at any place.
 */
#ifndef FTRACE_X86_MOVE_H
#define FTRACE_X86_MOVE_H

#include "../../engine/plan.h"
#include "decode.h"

enum x86_kind {
	X86_PLAIN,
	X86_JUMP,		/* by a distance, as are the next two */
	X86_BRANCH,		/* jcc, loop, jrcxz */
	X86_CALL,
	X86_JUMP_INDIRECT,
	X86_CALL_INDIRECT,
	X86_RETURN,
};

static inline enum x86_kind x86_kind(const struct x86_insn *in)
{
	if (in->map == X86_MAP_0F)
		return in->opcode >= 0x80 && in->opcode < 0x90 ? X86_BRANCH : X86_PLAIN;
	if (in->map != X86_MAP_1)
		return X86_PLAIN;
	switch (in->opcode) {
	case 0xe8:
		return X86_CALL;
	case 0xe9: case 0xeb:
		return X86_JUMP;
	case 0xc2: case 0xc3:
		return X86_RETURN;
	case 0xff:
		return x86_reg(in) == 2 ? X86_CALL_INDIRECT :
		       x86_reg(in) == 4 ? X86_JUMP_INDIRECT : X86_PLAIN;
	}
	return (in->opcode >= 0x70 && in->opcode < 0x80) || (in->opcode >= 0xe0 && in->opcode < 0xe4) ?
	       X86_BRANCH : X86_PLAIN;
}

/* Where a relative branch at @vaddr leads; 0: it is none. */
static inline u64 x86_target(const struct x86_insn *in, bool wide, u64 vaddr)
{
	u64 target = vaddr + in->len + (u64)in->imm;

	return !in->relative ? 0 : wide ? target : (u32)target;
}

/* Why instructions cannot be moved: said of a function's first ones, and of one that is probed. */
struct x86_refusal {
	const char *first, *here;
};

/*
 * Make the copy of the instructions at @code, @need bytes or a few more, whose address is @vaddr. @size: bytes up to
 * the function's end; @avail: bytes that can be read, what follows it included. NULL: done. Whether anything
 * branches into them is the caller's to find out.
 */
const struct x86_refusal *x86_move(bool wide, const u8 *code, size_t avail, u64 size, u64 vaddr,
				   unsigned int need, struct probe_copy *copy);

#endif /* FTRACE_X86_MOVE_H */
