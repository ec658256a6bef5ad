/* SPDX-License-Identifier: MIT */
/* driver.S for i386. Memory is addressed absolutely, so no register is needed: not to be linked as PIE. */
#include "state.h"

	.macro for_general op, state
	.set offset, STATE_GENERAL
	.irp reg, eax, ebx, ecx, edx, esi, edi, ebp
	\op	\reg, \state
	.set offset, offset + 8
	.endr
	.endm

	.macro load_general reg, state
	mov	\state+offset, %\reg
	.endm

	.macro store_general reg, state
	mov	%\reg, \state+offset
	.endm

	/* The flags are not known here. */
	.macro load state
	fxrstor	\state+STATE_FX
	cmpl	$LEVEL_AVX, fidelity_level
	jb	1f
	je	2f
	.irp v, 0,1,2,3,4,5,6,7
	vmovdqu64 \state+STATE_VECTOR+64*\v, %zmm\v
	.endr
	.irp v, 0,1,2,3,4,5,6,7
	kmovq	\state+STATE_MASK+8*\v, %k\v
	.endr
	jmp	1f
2:
	.irp v, 0,1,2,3,4,5,6,7
	vmovdqu	\state+STATE_VECTOR+64*\v, %ymm\v
	.endr
1:
	pushl	\state+STATE_FLAGS
	popfl
	for_general load_general, \state
	.endm

	/* pushfl first: everything after it may change the flags. */
	.macro store state
	mov	%esp, \state+STATE_SP
	pushfl
	popl	\state+STATE_FLAGS
	for_general store_general, \state
	cld
	cmpl	$LEVEL_AVX, fidelity_level
	jb	1f
	je	2f
	.irp v, 0,1,2,3,4,5,6,7
	vmovdqu64 %zmm\v, \state+STATE_VECTOR+64*\v
	.endr
	.irp v, 0,1,2,3,4,5,6,7
	kmovq	%k\v, \state+STATE_MASK+8*\v
	.endr
	jmp	1f
2:
	.irp v, 0,1,2,3,4,5,6,7
	vmovdqu	%ymm\v, \state+STATE_VECTOR+64*\v
	.endr
1:
	fxsave	\state+STATE_FX
	.endm

	.macro patchable_entry
9:	nop
	nop
	nop
	nop
	nop
	.pushsection __patchable_function_entries, "awo", @progbits, .text
	.balign	4
	.long	9b
	.popsection
	.endm

	.macro driver name, callee
	.globl	\name
	.type	\name, @function
\name:
	.cfi_startproc
	push	%ebx
	.cfi_adjust_cfa_offset 4
	push	%ebp
	.cfi_adjust_cfa_offset 4
	push	%esi
	.cfi_adjust_cfa_offset 4
	push	%edi
	.cfi_adjust_cfa_offset 4
	sub	$44, %esp
	.cfi_adjust_cfa_offset 44
	fxsave	saved
	mov	%esp, fidelity_sp
	load	fidelity_before
	call	\callee
	store	fidelity_after
	fxrstor	saved
	cmpl	$LEVEL_AVX, fidelity_level
	jb	3f
	vzeroupper
3:	cld
	add	$44, %esp
	.cfi_adjust_cfa_offset -44
	pop	%edi
	.cfi_adjust_cfa_offset -4
	pop	%esi
	.cfi_adjust_cfa_offset -4
	pop	%ebp
	.cfi_adjust_cfa_offset -4
	pop	%ebx
	.cfi_adjust_cfa_offset -4
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
	movl	$1, fidelity_ran
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
	movl	$2, fidelity_ran
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
