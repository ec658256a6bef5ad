/* SPDX-License-Identifier: MIT */
/*
 * x86, both widths: what stands in for libc's syscall(), for engine/trap-interpose.c. In the shared library only.
 *
 * Nothing but rt_sigprocmask() is looked at. The rest goes on by a jump with the stack as it was: a call may return twice,
 * or on another stack, and a word of the caller's that an absent argument's place is may be changed by other threads
 * meanwhile, so it must not be written, not even to what it was.
 */
#include <asm/unistd.h>

	.text
	.p2align 4
	.globl	ftrace_syscall
	.hidden	ftrace_syscall
	.type	ftrace_syscall, @function
	.weak	syscall
	.type	syscall, @function
syscall:
ftrace_syscall:
	.cfi_startproc
#ifdef __x86_64__
	cmpl	$__NR_rt_sigprocmask, %edi
	je	2f
1:	movq	ftrace_next_syscall(%rip), %rax	/* libc's */
	testq	%rax, %rax
	jz	3f
	jmp	*%rax

2:	cmpl	$0, trap_active(%rip)		/* no breakpoints: as it is */
	je	1b
	jmp	ftrace_mask_by_syscall		/* arguments where they are */

3:	pushq	%rdi				/* before our constructor: look it up, and once more */
	.cfi_adjust_cfa_offset 8
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	pushq	%rdx
	.cfi_adjust_cfa_offset 8
	pushq	%rcx
	.cfi_adjust_cfa_offset 8
	pushq	%r8
	.cfi_adjust_cfa_offset 8
	pushq	%r9
	.cfi_adjust_cfa_offset 8
	subq	$8, %rsp			/* aligned */
	.cfi_adjust_cfa_offset 8
	call	ftrace_find_syscall
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%r9
	.cfi_adjust_cfa_offset -8
	popq	%r8
	.cfi_adjust_cfa_offset -8
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	popq	%rdx
	.cfi_adjust_cfa_offset -8
	popq	%rsi
	.cfi_adjust_cfa_offset -8
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	jmp	*%rax
#else
	call	1f				/* where are we? */
	.cfi_adjust_cfa_offset 4
1:	popl	%ecx
	.cfi_adjust_cfa_offset -4
	cmpl	$__NR_rt_sigprocmask, 4(%esp)
	je	3f
2:	movl	ftrace_next_syscall - 1b(%ecx), %eax
	testl	%eax, %eax
	jz	4f
	jmp	*%eax

3:	cmpl	$0, trap_active - 1b(%ecx)
	je	2b
	jmp	ftrace_mask_by_syscall

4:	subl	$12, %esp			/* aligned; arguments stay where they are */
	.cfi_adjust_cfa_offset 12
	call	ftrace_find_syscall
	addl	$12, %esp
	.cfi_adjust_cfa_offset -12
	jmp	*%eax
#endif
	.cfi_endproc
	.size	ftrace_syscall, . - ftrace_syscall
	.size	syscall, . - syscall

	.section .note.GNU-stack, "", @progbits
