/* SPDX-License-Identifier: MIT */
/*
 * Reading machine code: what the planner asks of an architecture, all of it. A part of the command,
 * never of a traced process: the one who knows may use any disassembler (x86: Zydis).
 *
 * Not safe for use by two threads at once on one struct probe.
 */
#ifndef FTRACE_ARCH_PROBE_H
#define FTRACE_ARCH_PROBE_H

#include "../engine/plan.h"

enum probe_kind {
	PROBE_PLAIN,
	PROBE_PADDING,		/* does nothing, or is never executed: nops and int3 */
	PROBE_JUMP,		/* to @target */
	PROBE_BRANCH,		/* to @target or on */
	PROBE_CALL,		/* of @target */
	PROBE_JUMP_INDIRECT,
	PROBE_CALL_INDIRECT,
	PROBE_RETURN,
	PROBE_STOP,		/* nothing comes behind it: ud2, hlt */
};

/* One instruction. */
struct probe_insn {
	u8 len;
	u8 kind;		/* enum probe_kind */
	bool trap;		/* PADDING that nobody gets to: int3 */
	bool takes;		/* @ref is not accessed, its address is taken (lea) */
	u8 jump_reg;		/* JUMP_INDIRECT by register: its number, else PROBE_NO_REG */
	u8 copy_from, copy_to;	/* one register gets another's value; else PROBE_NO_REG */
	u16 computes;		/* registers that may get a computed value: not memory's as it is, no constant */
	u16 reads, writes;	/* condition flags, a bit each */
	u64 target;		/* JUMP, BRANCH, CALL */
	u64 ref;		/* what it refers to relative to itself, 0: nothing */
	u64 number[2];		/* its immediate and displacement, unsigned: perhaps addresses */
};

#define PROBE_ALL_FLAGS	0xffff
#define PROBE_NO_REG	0xff
#define PROBE_REGS	16

struct probe;

/* A decoder for ELF files of that machine and width; NULL: not supported, or no memory. */
struct probe *probe_open(u16 machine, bool wide);
void probe_close(struct probe *p);

/* Decode what stands at @code, @avail bytes, at address @vaddr. False: no instruction, or cut off. */
bool probe_decode(struct probe *p, const u8 *code, size_t avail, u64 vaddr,
		  struct probe_insn *insn);

/*
 * The frame at a function's first instruction: CFA is the register (by its number in DWARF) plus the
 * offset, and the return address is saved at CFA + @ra_offset.
 */
struct probe_entry {
	u8 cfa_reg, ra_reg;
	s64 cfa_offset, ra_offset;
};
const struct probe_entry *probe_entry(const struct probe *p);

/*
 * Make the copy of the first instructions, @need bytes or a few more, of the function of @size
 * bytes at @vaddr. @avail: bytes that can be read at @code, @size and what follows it. NULL: done;
 * else why they cannot be moved, in words. Whether anything branches into them is the caller's to
 * find out.
 */
const char *probe_move(struct probe *p, const u8 *code, size_t avail, u64 size, u64 vaddr,
		       unsigned int need, struct probe_copy *copy);

/*
 * Is it the function that tells its caller where that is, for code that cannot refer to anything relative to itself?
 * It returns what it was called from, in a register.
 */
bool probe_is_pc_thunk(const struct probe *p, const u8 *code, size_t avail);

/* Does the code at @code return from a signal handler (a restorer, which unwinders know by its bytes)? */
bool probe_is_restorer(const u8 *code, size_t avail);

#endif /* FTRACE_ARCH_PROBE_H */
