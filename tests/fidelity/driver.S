/* SPDX-License-Identifier: MIT */
/*
 * fidelity_call loads `before` into every register and calls fidelity_target, which is traced: its
 * five nops are listed by hand. The target stores all it finds in `inside`, loads `result` and returns;
 * what arrives in the caller is stored in `after`. Memory is addressed by rip, so no register is
 * needed. fidelity_level says how wide the vectors are. Two drivers with a tail call between:
 * fidelity_tail is traced too and jumps to fidelity_target.
 */
#include "state.h"

	.macro for_general op, state
	.set offset, STATE_GENERAL
	.irp reg, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
	\op	\reg, \state
	.set offset, offset + 8
	.endr
	.endm

	.macro load_general reg, state
	mov	\state+offset(%rip), %\reg
	.endm

	.macro store_general reg, state
	mov	%\reg, \state+offset(%rip)
	.endm

	/* The flags are not known here. */
	.macro load state
	fxrstor64 \state+STATE_FX(%rip)
	cmpl	$LEVEL_AVX, fidelity_level(%rip)
	jb	1f
	je	2f
	.set n, 0
	.irp v, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	vmovdqu64 \state+STATE_VECTOR+64*\v(%rip), %zmm\v
	.endr
	.irp v, 0,1,2,3,4,5,6,7
	kmovq	\state+STATE_MASK+8*\v(%rip), %k\v
	.endr
	jmp	1f
2:
	.irp v, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovdqu	\state+STATE_VECTOR+64*\v(%rip), %ymm\v
	.endr
1:
	pushq	\state+STATE_FLAGS(%rip)
	popfq
	for_general load_general, \state
	.endm

	/* pushfq first: everything after it may change the flags. */
	.macro store state
	mov	%rsp, \state+STATE_SP(%rip)
	pushfq
	popq	\state+STATE_FLAGS(%rip)
	for_general store_general, \state
	cld
	cmpl	$LEVEL_AVX, fidelity_level(%rip)
	jb	1f
	je	2f
	.irp v, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	vmovdqu64 %zmm\v, \state+STATE_VECTOR+64*\v(%rip)
	.endr
	.irp v, 0,1,2,3,4,5,6,7
	kmovq	%k\v, \state+STATE_MASK+8*\v(%rip)
	.endr
	jmp	1f
2:
	.irp v, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovdqu	%ymm\v, \state+STATE_VECTOR+64*\v(%rip)
	.endr
1:
	fxsave64 \state+STATE_FX(%rip)
	.endm

	.macro patchable_entry
#ifndef MOVED		/* its first instructions are moved instead */
9:	nop
	nop
	nop
	nop
	nop
	.pushsection __patchable_function_entries, "awo", @progbits, .text
	.balign	8
	.quad	9b
	.popsection
#endif
	.endm

	.macro driver name, callee
	.globl	\name
	.type	\name, @function
\name:
	.cfi_startproc
	push	%rbx
	.cfi_adjust_cfa_offset 8
	push	%rbp
	.cfi_adjust_cfa_offset 8
	push	%r12
	.cfi_adjust_cfa_offset 8
	push	%r13
	.cfi_adjust_cfa_offset 8
	push	%r14
	.cfi_adjust_cfa_offset 8
	push	%r15
	.cfi_adjust_cfa_offset 8
	sub	$40, %rsp
	.cfi_adjust_cfa_offset 40
	fxsave64 saved(%rip)
	mov	%rsp, fidelity_sp(%rip)
	load	fidelity_before
	call	\callee
	store	fidelity_after
	fxrstor64 saved(%rip)
	cmpl	$LEVEL_AVX, fidelity_level(%rip)
	jb	3f
	vzeroupper
3:	cld
	add	$40, %rsp
	.cfi_adjust_cfa_offset -40
	pop	%r15
	.cfi_adjust_cfa_offset -8
	pop	%r14
	.cfi_adjust_cfa_offset -8
	pop	%r13
	.cfi_adjust_cfa_offset -8
	pop	%r12
	.cfi_adjust_cfa_offset -8
	pop	%rbp
	.cfi_adjust_cfa_offset -8
	pop	%rbx
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size	\name, . - \name
	.endm

	.text
	.balign 16
	.globl	fidelity_target
	.type	fidelity_target, @function
fidelity_target:
	.cfi_startproc
	patchable_entry
	movl	$1, fidelity_ran(%rip)
	store	fidelity_inside
	load	fidelity_result
	ret
	.cfi_endproc
	.size	fidelity_target, . - fidelity_target

	/* What replaces it, where it is replaced. */
	.balign 16
	.globl	fidelity_replacement
	.type	fidelity_replacement, @function
fidelity_replacement:
	.cfi_startproc
	movl	$2, fidelity_ran(%rip)
	store	fidelity_inside
	load	fidelity_result
	ret
	.cfi_endproc
	.size	fidelity_replacement, . - fidelity_replacement

	.balign 16
	.globl	fidelity_tail
	.type	fidelity_tail, @function
fidelity_tail:
	.cfi_startproc
	patchable_entry
	jmp	fidelity_target
	.cfi_endproc
	.size	fidelity_tail, . - fidelity_tail

	driver	fidelity_call, fidelity_target
	driver	fidelity_call_tail, fidelity_tail

	.bss
	.balign 64
	.irp name, fidelity_before, fidelity_inside, fidelity_result, fidelity_after
	.globl	\name
\name:	.skip	STATE_SIZE
	.endr
saved:	.skip	512
	.globl	fidelity_sp
fidelity_sp: .skip 8
	.globl	fidelity_ran
fidelity_ran: .skip 8
	.globl	fidelity_level
fidelity_level: .skip 8
	.section .note.GNU-stack, "", @progbits
