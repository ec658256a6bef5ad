/* SPDX-License-Identifier: MIT */
/* x86: what the self test knows of registers. */
#ifndef ARCH_SELFTEST_ARCH_H
#define ARCH_SELFTEST_ARCH_H

#include <ftrace/ptrace.h>

#ifdef __x86_64__

/* Every register a called function finds, but sp and ip. */
#define ARCH_SELFTEST_NAMES \
	"ax", "bx", "cx", "dx", "si", "di", "bp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", \
	"r15", "flags"
/* What a callback gets without FTRACE_OPS_FL_SAVE_REGS. */
#define ARCH_SELFTEST_MINIMUM \
	"ax", "di", "si", "dx", "cx", "r8", "r9", "r10"
/* Where the first integer argument is. */
#define ARCH_SELFTEST_ARGUMENT	"di"
/* Do floating-point arguments come in registers? */
#define ARCH_SELFTEST_FP_REGISTERS	1
/* ... and does a pair of them go back in registers? */
#define ARCH_SELFTEST_PAIR_IN_REGISTERS	1

/* A value that is large and odd. */
#define ARCH_SELFTEST_SEED	0x5a00000000000001ul

/* The stack pointer that arch_selftest_call() has left in @out. */
static inline unsigned long arch_selftest_sp(const struct pt_regs *out)
{
	return out->rsp;
}

#else /* i386 */

#define ARCH_SELFTEST_NAMES \
	"ax", "bx", "cx", "dx", "si", "di", "bp", "flags"
#define ARCH_SELFTEST_MINIMUM \
	"ax", "dx", "cx"
#define ARCH_SELFTEST_FP_REGISTERS	0
#define ARCH_SELFTEST_PAIR_IN_REGISTERS	0
#define ARCH_SELFTEST_SEED	0x5a000001ul

static inline unsigned long arch_selftest_sp(const struct pt_regs *out)
{
	return (unsigned long)out->esp;
}

#endif

/*
 * Load every register but sp and ip from @in, call @func, and leave in @out what the registers
 * held when it returned; sp and ip of @out: the stack pointer @func was entered with, and the
 * address it returned to.
 */
void arch_selftest_call(const struct pt_regs *in, struct pt_regs *out, void (*func)(void));

/* Values that differ from each other and, for another @round, from that one's. */
static inline void arch_selftest_fill(struct pt_regs *regs, unsigned int round)
{
	unsigned long *word = (unsigned long *)regs;

	for (unsigned long i = 0; i < sizeof(*regs) / sizeof(*word); i++)
		word[i] = ARCH_SELFTEST_SEED * (round + 1) + (i << 24) + i * 0x101;
	/* Carry, parity, sign; or zero, overflow, direction. Interrupts are on (bit 9). */
	regs->eflags = round & 1 ? 0x202 | 0x40 | 0x800 | 0x400 : 0x202 | 0x1 | 0x4 | 0x80;
}

/* The return address as a callback finds it. */
static inline unsigned long arch_selftest_return_address(const struct pt_regs *regs)
{
	return *(const unsigned long *)user_stack_pointer(regs);
}

#endif /* ARCH_SELFTEST_ARCH_H */
