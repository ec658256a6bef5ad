/* SPDX-License-Identifier: MIT */
/* What the stubs of this test call: see arch/x86/entry.S for the contract. */
#include "arch-site.h"

	.text
	.globl	handle_entry, handle_exit
	.type	handle_entry, @function
handle_entry:
	.cfi_startproc
	pushq	%rax
	.cfi_adjust_cfa_offset 8
	pushq	%rdx
	.cfi_adjust_cfa_offset 8
	movq	32(%rsp), %rax		/* slot: two pushes, our return address, %r11 */
	leaq	32(%rsp), %rdx
	movq	%rax, %r11
	subq	stubs(%rip), %r11
	cmpq	$65536, %r11
	jae	1f
	andl	$63, %r11d
	cmpl	$ARCH_STUB_RET, %r11d
	je	2f
1:	btcq	$ARCH_SHADOW_BIT, %rdx
	btcq	$ARCH_SHADOW_LOW_BIT, %rdx
	movq	%rax, (%rdx)
	incq	stubs_entered(%rip)
	popq	%rdx
	.cfi_adjust_cfa_offset -8
	popq	%rax
	.cfi_adjust_cfa_offset -8
	stc
	ret
2:	.cfi_adjust_cfa_offset 16
	popq	%rdx
	.cfi_adjust_cfa_offset -8
	popq	%rax
	.cfi_adjust_cfa_offset -8
	clc
	ret
	.cfi_endproc
	.size	handle_entry, . - handle_entry

	.type	handle_exit, @function
handle_exit:
	.cfi_startproc
	pushq	%rax
	.cfi_adjust_cfa_offset 8
	pushq	%rdx
	.cfi_adjust_cfa_offset 8
	incq	stubs_returned(%rip)
	leaq	32(%rsp), %rdx
	btcq	$ARCH_SHADOW_BIT, %rdx
	btcq	$ARCH_SHADOW_LOW_BIT, %rdx
	movq	(%rdx), %rax
	movq	%rax, 32(%rsp)
	popq	%rdx
	.cfi_adjust_cfa_offset -8
	popq	%rax
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size	handle_exit, . - handle_exit
	.section .note.GNU-stack, "", @progbits
