/* SPDX-License-Identifier: MIT */
/* s390, both widths: what the self test knows of registers. */
#ifndef ARCH_SELFTEST_ARCH_H
#define ARCH_SELFTEST_ARCH_H

#include <ftrace/ptrace.h>

/* Every register a called function finds, but sp, the return address and ip. The last one: flags. */
#define ARCH_SELFTEST_NAMES \
	"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", \
	"psw.mask"
/* What a callback gets without FTRACE_OPS_FL_SAVE_REGS. */
#define ARCH_SELFTEST_MINIMUM \
	"r0", "r2", "r3", "r4", "r5", "r6"
/* Do floating-point arguments come in registers? And does a pair of them go back in registers? */
#define ARCH_SELFTEST_FP_REGISTERS	1
#define ARCH_SELFTEST_PAIR_IN_REGISTERS	0

/* The stack pointer that arch_selftest_call() has left in @out. */
static inline unsigned long arch_selftest_sp(const struct pt_regs *out)
{
	return out->gprs[15];
}

/*
 * Load every register but sp and ip from @in, call @func, and leave in @out what the registers
 * held when it returned; sp and ip of @out: the stack pointer @func was entered with, and the
 * address it returned to.
 */
void arch_selftest_call(const struct pt_regs *in, struct pt_regs *out, void (*func)(void));

/* Values that differ from each other and, for another @round, from that one's. */
static inline void arch_selftest_fill(struct pt_regs *regs, unsigned int round)
{
	unsigned long *word = (unsigned long *)regs, high = 0, low = 0;

	for (unsigned long i = 0; i < sizeof(*regs) / sizeof(*word); i++)
		word[i] = 0x5a000001ul * (round + 1) + (i << 20) + i * 0x101;
	__asm__ volatile("epsw %0,%1" : "=&a"(high), "=&a"(low));
	high = (high & ~0x3f00ul & 0xffffffff) | (round & 3) << 12;	/* the condition code */
#ifdef __s390x__
	for (unsigned long i = 0; i < sizeof(*regs) / sizeof(*word); i++)
		word[i] = word[i] << 31 | word[i];
	regs->psw.mask = high << 32 | (low & 0xffffffff);
#else
	regs->psw.mask = high;
#endif
}

/* The return address as a callback finds it. */
static inline unsigned long arch_selftest_return_address(const struct pt_regs *regs)
{
#ifdef __s390x__
	return regs->gprs[14];
#else
	return regs->gprs[14] & 0x7ffffffful;
#endif
}

#endif /* ARCH_SELFTEST_ARCH_H */
