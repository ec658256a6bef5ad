/* SPDX-License-Identifier: MIT */
/*
 * x86, both widths: one instruction's length and parts. For what moves instructions, in the command and in
 * a traced process alike: it calls nothing. What an instruction does it does not know; the planner asks Zydis.
 */
#ifndef FTRACE_X86_DECODE_H
#define FTRACE_X86_DECODE_H

#include "../../engine/base.h"

enum x86_map {
	X86_MAP_1,			/* one byte */
	X86_MAP_0F,
	X86_MAP_0F38,
	X86_MAP_0F3A,
	X86_MAP_VEX,			/* VEX, EVEX, XOP: any of their maps */
};

struct x86_insn {
	u8 len;
	u8 map;				/* enum x86_map */
	u8 opcode;			/* the last byte of it */
	u8 rex;				/* 0: none */
	bool opsize, addrsize, lock, repne;	/* prefixes 66, 67, f0 and f2 */
	bool has_modrm, has_sib;
	u8 modrm_at, modrm, sib;
	u8 disp_at, disp_size;		/* size 0: none */
	u8 imm_at, imm_size;		/* the first immediate, a branch's distance included */
	bool relative;			/* it is one */
	s32 disp;
	s64 imm;
};

#define X86_MAX_LEN	15

/* Decode what stands at @code, @avail bytes. False: no instruction, or cut off. */
bool x86_decode(struct x86_insn *in, const u8 *code, size_t avail, bool wide);

static inline u8 x86_mod(const struct x86_insn *in)
{
	return in->modrm >> 6;
}

static inline u8 x86_reg(const struct x86_insn *in)		/* of three bits */
{
	return in->modrm >> 3 & 7;
}

static inline u8 x86_rm(const struct x86_insn *in)
{
	return in->modrm & 7;
}

/* rip plus a displacement; there is no such thing in 32-bit code. */
static inline bool x86_refers(const struct x86_insn *in, bool wide)
{
	return wide && in->has_modrm && x86_mod(in) == 0 && x86_rm(in) == 5 && in->disp_size == 4;
}

#endif /* FTRACE_X86_DECODE_H */
