/* SPDX-License-Identifier: MIT */
/*
 * x86: the registers of a traced function. struct pt_regs is the kernel's user-space one, so that
 * this can be included together with <sys/ptrace.h>.
 *
 * Fields that are no register of the function: orig_rax is -1 (no system call); cs, ss hold the
 * thread's selectors; user space's pt_regs has no segment fields on x86_64.
 *
 * On i386 no sp and ss are pushed: &regs->esp *is* the function's stack top. The word there is its return
 * address, those above are its stack arguments, and a copy of the structure knows no stack pointer;
 * xds to xgs and xcs hold the thread's selectors, and are not put back.
 */
#ifndef FTRACE_ARCH_PTRACE_H
#define FTRACE_ARCH_PTRACE_H

#include <asm/ptrace.h>

#ifdef __x86_64__
#define FTRACE_REGS_IP(regs)		((regs)->rip)
#define FTRACE_REGS_SP(regs)		((regs)->rsp)
#define FTRACE_REGS_RETURN(regs)	((regs)->rax)

#define ARCH_SUPPORTS_FTRACE_DIRECT_CALLS 1
#else
#define FTRACE_REGS_IP(regs)		((regs)->eip)
#define FTRACE_REGS_SP(regs)		((unsigned long)&(regs)->esp)
#define FTRACE_REGS_RETURN(regs)	((regs)->eax)
#define FTRACE_REGS_SP_OFFSET		__builtin_offsetof(struct pt_regs, esp)
#endif

#endif /* FTRACE_ARCH_PTRACE_H */
