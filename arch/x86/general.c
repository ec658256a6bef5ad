/* SPDX-License-Identifier: MIT */
/*
 * x86, both widths: does an instruction leave vector, mask and x87 registers alone? See arch.h. By lists of
 * those that do, after the opcode maps of Intel's manual (volume 2, appendix A); what is on none counts as one that does not.
 */
#include "general.h"

#include "arch.h"
#include "move.h"

#define WIDE	(sizeof(long) == 8)

/* A bit for each of 16 opcodes, a row for each upper half of one. */
static const u16 one_byte[16] = {
	/* 0 to 3: arithmetic, not the segment registers that older code has there */
	0x3f3f, 0x3f3f, 0x3f3f, 0x3f3f,
	/* 4: inc, dec, in 32-bit code; 5: push, pop */
	0xffff, 0xffff,
	/* 6: pusha, popa, movsxd, push and imul with a number; no bound, ins, outs */
	1 << 0 | 1 << 1 | 1 << 3 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11,
	/* 7: jcc; 8: arithmetic, test, xchg, mov, lea, pop; not into a segment register */
	0xffff, 0xffff & ~(1 << 2 | 1 << 14),
	/* 9: xchg, cbw, cwd, pushf, popf, sahf, lahf; no far call, fwait */
	0xffff & ~(1 << 10 | 1 << 11),
	/* a: mov, strings, test; b: mov */
	0xffff, 0xffff,
	/* c: shifts, ret, mov, enter, leave; no interrupts */
	1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9,
	/* d: shifts; no x87 */
	0xf,
	/* e: loop, jrcxz, call, jmp */
	0xf | 1 << 8 | 1 << 9 | 1 << 11,
	/* f: cmc, groups, flags; no hlt, cli, sti */
	1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15,
};

static const u16 two_bytes[16] = {
	/* 0: syscall (the kernel keeps vectors), ud2, prefetches */
	1 << 5 | 1 << 11 | 1 << 13,
	/* 1: prefetches, nops, endbr */
	0xff00,
	0,
	/* 3: rdtsc */
	1 << 1,
	/* 4: cmov */
	0xffff,
	0, 0, 0,
	/* 8: jcc; 9: setcc */
	0xffff, 0xffff,
	/* a: cpuid, bt, shld, bts, shrd, fences, imul */
	1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15,
	/* b: cmpxchg, btr, movzx, popcnt, bt with a number, btc, bsf, bsr, movsx */
	1 << 0 | 1 << 1 | 1 << 3 | 1 << 6 | 1 << 7 | 0xfd00,
	/* c: xadd, movnti, cmpxchg8b, bswap */
	1 << 0 | 1 << 1 | 1 << 3 | 1 << 7 | 0xff00,
	0, 0, 0,
};

static bool is_listed(const u16 *list, u8 opcode)
{
	return list[opcode >> 4] >> (opcode & 15) & 1;
}

bool x86_is_general(const struct x86_insn *in, bool wide)
{
	bool memory = in->has_modrm && x86_mod(in) != 3;
	u8 reg = x86_reg(in);

	/* 66 before a branch: processors disagree about its length. */
	if (in->opsize && x86_kind(in) != X86_PLAIN)
		return false;
	/* Opcodes that are several instructions, by ModRM.reg; then the lists. */
	if (in->map == X86_MAP_1) {
		if (in->opcode == 0xc6 || in->opcode == 0xc7)	/* mov; else xabort, xbegin */
			return reg == 0;
		if (in->opcode == 0xff)				/* inc, dec, push; else through a register */
			return reg < 2 || reg == 6;
		return is_listed(one_byte, in->opcode);
	}
	if (in->map == X86_MAP_0F) {
		if (in->opcode == 0x05)				/* AMD has it in 32-bit code, too */
			return wide;
		if (in->opcode == 0xae)				/* fences; else fxsave and its like */
			return !memory && reg >= 5;
		if (in->opcode == 0xc3)				/* movnti */
			return memory;
		if (in->opcode == 0xc7)				/* cmpxchg8b and 16b */
			return memory && reg == 1;
		return is_listed(two_bytes, in->opcode);
	}
	return in->map == X86_MAP_0F38 && (in->opcode == 0xf0 || in->opcode == 0xf1);	/* movbe, crc32 */
}

/* Numbers of registers, with REX; of ModRM's other operand only where that is a register or has no SIB. */
enum { SP = 4, BP = 5 };

static unsigned int reg_of(const struct x86_insn *in)
{
	return x86_reg(in) | (in->rex & 4) << 1;
}

static unsigned int rm_of(const struct x86_insn *in)
{
	return x86_rm(in) | (in->rex & 1) << 3;
}

/* A number or register to the top of the stack: `push`, `mov %reg, (%rsp)`. */
static bool stores_at_top(const struct x86_insn *in)
{
	switch (in->opcode) {
	case 0x68: case 0x6a:
		return true;
	case 0xff:
		return x86_reg(in) == 6;
	case 0x89: case 0xc7:
		return x86_mod(in) == 0 && in->has_sib && (in->sib & 0x3f) == (SP << 3 | SP) && !(in->rex & 3);
	}
	return in->opcode >= 0x50 && in->opcode < 0x58;
}

/* Does it give the stack pointer another value than a function's frame does: from anywhere but the frame pointer? */
static bool sets_sp(const struct x86_insn *in)
{
	bool memory = in->has_modrm && x86_mod(in) != 3;

	switch (in->opcode) {
	case 0x89:
		return !memory && rm_of(in) == SP && reg_of(in) != BP;
	case 0x8b:
		return reg_of(in) == SP && (memory || rm_of(in) != BP);
	case 0x8d:
		return reg_of(in) == SP && (in->has_sib || x86_mod(in) == 0 || rm_of(in) != BP);
	case 0x87:
		return reg_of(in) == SP || (!memory && rm_of(in) == SP);
	case 0x8f: case 0xc7:
		return !memory && rm_of(in) == SP;
	}
	return (in->opcode & 7) == SP && !(in->rex & 1) &&	/* pop, xchg, mov */
	       (in->opcode == 0x5c || in->opcode == 0x94 || in->opcode == 0xbc);
}

/*
 * A return leads to who called, where the stack is used as compilers do. Not so behind a change to another stack; nor
 * where what stands for the return address was just put there: so retpolines jump, and what enters a context.
 */
static bool returns_elsewhere(const struct x86_insn *in, const u8 *code, size_t avail)
{
	struct x86_insn next;

	if (in->map != X86_MAP_1)
		return false;
	return sets_sp(in) || (stores_at_top(in) && x86_decode(&next, code + in->len, avail - in->len, WIDE) &&
			       x86_kind(&next) == X86_RETURN);
}

bool arch_insn_is_general(const u8 *code, size_t avail, unsigned long addr, struct arch_general *insn)
{
	struct x86_insn in;
	enum x86_kind kind;

	if (!x86_decode(&in, code, avail, WIDE) || !x86_is_general(&in, WIDE) || returns_elsewhere(&in, code, avail))
		return false;
	kind = x86_kind(&in);
	insn->len = in.len;
	insn->ends = kind == X86_JUMP || kind == X86_RETURN ||
		     (in.map == X86_MAP_0F && in.opcode == 0x0b);
	insn->target = (unsigned long)x86_target(&in, WIDE, addr);
	return true;
}
