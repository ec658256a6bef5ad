/* SPDX-License-Identifier: MIT */
/* x86: registers as call frame information numbers them (psABI; i386: as gcc does in .eh_frame). */
#include <sys/ptrace.h>
#include <sys/user.h>

#include <ftrace/ptrace.h>

#include "arch.h"
#include "unwind-stack.h"

#ifdef __x86_64__

__asm__(".text\n"
	".globl arch_unwind_here\n"
	".hidden arch_unwind_here\n"
	".type arch_unwind_here, @function\n"
	"arch_unwind_here:\n"
	"	.cfi_startproc\n"
	"	movq %rbx, 3*8(%rdi)\n"
	"	movq %rbp, 6*8(%rdi)\n"
	"	leaq 8(%rsp), %rax\n"
	"	movq %rax, 7*8(%rdi)\n"
	"	movq %r12, 12*8(%rdi)\n"
	"	movq %r13, 13*8(%rdi)\n"
	"	movq %r14, 14*8(%rdi)\n"
	"	movq %r15, 15*8(%rdi)\n"
	"	movq (%rsp), %rax\n"
	"	movq %rax, 16*8(%rdi)\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size arch_unwind_here, . - arch_unwind_here\n");

void arch_unwind_caller(const struct pt_regs *r, struct unwind_regs *regs)
{
	const unsigned long *slot = (const unsigned long *)r->rsp;
	const unsigned long all[ARCH_UNWIND_REGS] = {
		r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi, r->rbp, (unsigned long)(slot + 1),
		r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15, *slot,
	};

	ft_memcpy(regs->reg, all, sizeof(all));
}

static void take(const struct user_regs_struct *r, unsigned long *reg)
{
	const unsigned long all[ARCH_UNWIND_REGS] = {
		r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi, r->rbp, r->rsp,
		r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15, r->rip,
	};

	ft_memcpy(reg, all, sizeof(all));
}

#else

__asm__(".text\n"
	".globl arch_unwind_here\n"
	".hidden arch_unwind_here\n"
	".type arch_unwind_here, @function\n"
	"arch_unwind_here:\n"
	"	.cfi_startproc\n"
	"	movl 4(%esp), %eax\n"
	"	movl %ebx, 3*4(%eax)\n"
	"	leal 4(%esp), %ecx\n"
	"	movl %ecx, 4*4(%eax)\n"
	"	movl %ebp, 5*4(%eax)\n"
	"	movl %esi, 6*4(%eax)\n"
	"	movl %edi, 7*4(%eax)\n"
	"	movl (%esp), %ecx\n"
	"	movl %ecx, 8*4(%eax)\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size arch_unwind_here, . - arch_unwind_here\n");

void arch_unwind_caller(const struct pt_regs *r, struct unwind_regs *regs)
{
	const unsigned long *slot = (const unsigned long *)user_stack_pointer(r);
	const unsigned long all[ARCH_UNWIND_REGS] = {
		(unsigned long)r->eax, (unsigned long)r->ecx, (unsigned long)r->edx,
		(unsigned long)r->ebx, (unsigned long)(slot + 1), (unsigned long)r->ebp,
		(unsigned long)r->esi, (unsigned long)r->edi, *arch_return_address((struct pt_regs *)r),
	};

	ft_memcpy(regs->reg, all, sizeof(all));
}

static void take(const struct user_regs_struct *r, unsigned long *reg)
{
	const unsigned long all[ARCH_UNWIND_REGS] = {
		(unsigned long)r->eax, (unsigned long)r->ecx, (unsigned long)r->edx,
		(unsigned long)r->ebx, (unsigned long)r->esp, (unsigned long)r->ebp,
		(unsigned long)r->esi, (unsigned long)r->edi, (unsigned long)r->eip,
	};

	ft_memcpy(reg, all, sizeof(all));
}

#endif

int arch_unwind_stopped(int tid, struct unwind_regs *regs, unsigned long *thread_pointer)
{
	struct user_regs_struct r;
	long err = arch_syscall(SYS_ptrace, PTRACE_GETREGS, tid, 0, (long)&r, 0, 0);

	if (err)
		return (int)err;
	take(&r, regs->reg);
#ifdef __x86_64__
	*thread_pointer = r.fs_base;
#endif
	return 0;
}

