/* SPDX-License-Identifier: MIT */
/*
 * x86: the registers of a traced function. struct pt_regs is the kernel's user-space one, so that
 * this can be included together with <sys/ptrace.h>.
 *
 * Fields that are no register of the function: orig_rax is -1 (no system call); cs, ss hold the
 * thread's selectors; user space's pt_regs has no segment fields on x86_64.
 *
 * On i386 no sp and ss are there: &regs->sp is the function's stack top.
 */
#ifndef FTRACE_ARCH_PTRACE_H
#define FTRACE_ARCH_PTRACE_H

#include <asm/ptrace.h>

#ifdef __x86_64__
#define FTRACE_REGS_IP(regs)		((regs)->rip)
#define FTRACE_REGS_SP(regs)		((regs)->rsp)
#define FTRACE_REGS_RETURN(regs)	((regs)->rax)
#else
#define FTRACE_REGS_IP(regs)		((regs)->eip)
#define FTRACE_REGS_SP(regs)		((unsigned long)&(regs)->esp)
#define FTRACE_REGS_RETURN(regs)	((regs)->eax)
#endif

#endif /* FTRACE_ARCH_PTRACE_H */
