/* SPDX-License-Identifier: MIT */
/* arch_selftest_call(); see selftest-arch.h. */
#include "asm-offsets.h"

	.text
	.globl	arch_selftest_call
	.hidden	arch_selftest_call
	.type	arch_selftest_call, @function
	.p2align 4
arch_selftest_call:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rsi			/* out, at 16(%rsp) */
	pushq	%rdx			/* func, at 8(%rsp) */
	subq	$8, %rsp		/* aligned at the call */

	pushq	PT_EFLAGS(%rdi)
	popfq				/* no flag is changed from here to the call */
	movq	PT_R15(%rdi), %r15
	movq	PT_R14(%rdi), %r14
	movq	PT_R13(%rdi), %r13
	movq	PT_R12(%rdi), %r12
	movq	PT_R11(%rdi), %r11
	movq	PT_R10(%rdi), %r10
	movq	PT_R9(%rdi), %r9
	movq	PT_R8(%rdi), %r8
	movq	PT_RBP(%rdi), %rbp
	movq	PT_RBX(%rdi), %rbx
	movq	PT_RAX(%rdi), %rax
	movq	PT_RCX(%rdi), %rcx
	movq	PT_RDX(%rdi), %rdx
	movq	PT_RSI(%rdi), %rsi
	movq	PT_RDI(%rdi), %rdi
	call	*8(%rsp)
1:	pushfq
	pushq	%rax
	movq	(16 + 16)(%rsp), %rax	/* out, below two pushes */
	movq	%rdi, PT_RDI(%rax)
	movq	%rsi, PT_RSI(%rax)
	movq	%rdx, PT_RDX(%rax)
	movq	%rcx, PT_RCX(%rax)
	movq	%rbx, PT_RBX(%rax)
	movq	%rbp, PT_RBP(%rax)
	movq	%r8, PT_R8(%rax)
	movq	%r9, PT_R9(%rax)
	movq	%r10, PT_R10(%rax)
	movq	%r11, PT_R11(%rax)
	movq	%r12, PT_R12(%rax)
	movq	%r13, PT_R13(%rax)
	movq	%r14, PT_R14(%rax)
	movq	%r15, PT_R15(%rax)
	popq	PT_RAX(%rax)
	popq	PT_EFLAGS(%rax)
	cld
	leaq	-8(%rsp), %rcx
	movq	%rcx, PT_RSP(%rax)
	leaq	1b(%rip), %rcx
	movq	%rcx, PT_RIP(%rax)

	addq	$24, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret
	.size	arch_selftest_call, . - arch_selftest_call

	.section .note.GNU-stack, "", @progbits
