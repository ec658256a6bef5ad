/* SPDX-License-Identifier: MIT */
/* Trampolines of direct calls: count, and change nothing. */
	.macro TRAMPOLINE name count
	.globl	\name
	.type	\name, @function
\name:
	.cfi_startproc
	pushq	%rax
	.cfi_adjust_cfa_offset 8
	pushfq
	.cfi_adjust_cfa_offset 8
	lock incq \count(%rip)
	popfq
	.cfi_adjust_cfa_offset -8
	popq	%rax
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size	\name, . - \name
	.bss
	.globl	\count
	.balign	8
\count:	.quad	0
	.text
	.endm

	.text
	TRAMPOLINE direct_first first_count
	TRAMPOLINE direct_second second_count

	.section .note.GNU-stack, "", @progbits
