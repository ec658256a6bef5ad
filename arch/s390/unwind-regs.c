/* SPDX-License-Identifier: MIT */
/*
 * s390, both widths: registers as call frame information numbers them: r0-r15, then f0, f2, f4, f6, f1,
 * f3, f5, f7, f8, f10, f12, f14, f9, f11, f13, f15, in some of which leaf functions keep others; the pc
 * behind them is our own number.
 */
#include <ftrace/ptrace.h>

#include "arch.h"
#include "unwind-stack.h"

#ifdef __s390x__
__asm__(".text\n"
	".globl arch_unwind_here\n"
	".hidden arch_unwind_here\n"
	".type arch_unwind_here, @function\n"
	"arch_unwind_here:\n"
	"	.cfi_startproc\n"
	"	stmg %r6,%r15,6*8(%r2)\n"
	"	std %f8,24*8(%r2)\n"
	"	std %f10,25*8(%r2)\n"
	"	std %f12,26*8(%r2)\n"
	"	std %f14,27*8(%r2)\n"
	"	std %f9,28*8(%r2)\n"
	"	std %f11,29*8(%r2)\n"
	"	std %f13,30*8(%r2)\n"
	"	std %f15,31*8(%r2)\n"
	"	stg %r14,32*8(%r2)\n"
	"	br %r14\n"
	"	.cfi_endproc\n"
	".size arch_unwind_here, . - arch_unwind_here\n");
#else
__asm__(".text\n"
	".globl arch_unwind_here\n"
	".hidden arch_unwind_here\n"
	".type arch_unwind_here, @function\n"
	"arch_unwind_here:\n"
	"	.cfi_startproc\n"
	"	stm %r6,%r15,6*4(%r2)\n"
	"	st %r14,32*4(%r2)\n"
	"	br %r14\n"
	"	.cfi_endproc\n"
	".size arch_unwind_here, . - arch_unwind_here\n");
#endif

void arch_unwind_caller(const struct pt_regs *entry, struct unwind_regs *regs)
{
	ft_memset(regs, 0, sizeof(*regs));
	ft_memcpy(regs->reg, entry->gprs, sizeof(entry->gprs));
	regs->reg[ARCH_UNWIND_PC] = entry->gprs[14];
}

/* Nobody stops threads here: arch_clone_helper() refuses. */
int arch_unwind_stopped(int tid, struct unwind_regs *regs, unsigned long *thread_pointer)
{
	return -EOPNOTSUPP;
}
