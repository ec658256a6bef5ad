/* SPDX-License-Identifier: MIT */
/*
 * fidelity_call loads `before` into every register and calls fidelity_target, which is traced: its nops are
 * listed by hand. The target stores what it finds in `inside`, loads `result` and returns; what arrives in
 * the caller is stored in `after`. Whole registers, also in 31-bit programs, by instructions that address
 * memory relative to themselves, so that none is needed for it.
 */
#include "fidelity-state.h"

	.machine "z13"
	.machinemode zarch

#ifdef __s390x__
#define STORE_ALL	stmg
#define LOAD_ALL	lmg
#define WORD		8
#define ABI_FRAME	160
#else
#define STORE_ALL	stm
#define LOAD_ALL	lm
#define WORD		4
#define ABI_FRAME	96
#endif
#define FRAME		(ABI_FRAME + 64)	/* with f8 to f15 */

	/* All but r14 and r15; the condition code; r0 and r1 are used before they are loaded. */
	.macro load state
	larl	%r1, \state
	lrl	%r0, fidelity_vectors
	cije	%r0, 0, 1f
	vlm	%v0, %v15, STATE_VECTOR(%r1)
	vlm	%v16, %v31, STATE_VECTOR + 256(%r1)
1:	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	ld	%f\n, STATE_VECTOR + 16 * \n(%r1)
	.endr
	lfpc	STATE_FPC(%r1)
	l	%r0, STATE_CC(%r1)
	spm	%r0
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13
	lgrl	%r\n, \state + 8 * \n
	.endr
	.endm

	.macro store state
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	stgrl	%r\n, \state + 8 * \n
	.endr
	ipm	%r0
	larl	%r1, \state
	st	%r0, STATE_CC(%r1)
	stfpc	STATE_FPC(%r1)
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	std	%f\n, STATE_VECTOR + 16 * \n(%r1)
	.endr
	lrl	%r0, fidelity_vectors
	cije	%r0, 0, 1f
	vstm	%v0, %v15, STATE_VECTOR(%r1)
	vstm	%v16, %v31, STATE_VECTOR + 256(%r1)
1:
	.endm

	.text
	.globl	fidelity_call
	.type	fidelity_call, @function
fidelity_call:
	STORE_ALL %r6, %r15, 6 * WORD(%r15)
#ifdef __s390x__
	lay	%r15, -FRAME(%r15)
#else
	ahi	%r15, -FRAME
#endif
	.irp	n, 8,9,10,11,12,13,14,15
	std	%f\n, ABI_FRAME + 8 * (\n - 8)(%r15)
	.endr
	la	%r1, FRAME(%r15)		/* the back chain, as with -mbackchain */
#ifdef __s390x__
	stg	%r1, 0(%r15)
#else
	st	%r1, 0(%r15)
#endif
	stgrl	%r15, fidelity_sp
	load	fidelity_before
	brasl	%r14, fidelity_target
fidelity_back:
	store	fidelity_after
	larl	%r1, fidelity_chain
	mvc	0(WORD,%r1), 0(%r15)
	.irp	n, 8,9,10,11,12,13,14,15
	ld	%f\n, ABI_FRAME + 8 * (\n - 8)(%r15)
	.endr
	LOAD_ALL %r6, %r15, FRAME + 6 * WORD(%r15)
	br	%r14
	.size	fidelity_call, . - fidelity_call

	.globl	fidelity_target
	.type	fidelity_target, @function
	.p2align 3
fidelity_target:
	.cfi_startproc
	.pushsection __patchable_function_entries, "awo", @progbits, .text
	.balign	WORD
#ifdef __s390x__
	.quad	fidelity_target
#else
	.long	fidelity_target
#endif
	.popsection
	nopr
	nopr
	nopr
	store	fidelity_inside
	lgrl	%r14, fidelity_inside + 8 * 14
	stgrl	%r14, fidelity_return
	load	fidelity_result
	lgrl	%r14, fidelity_return
	br	%r14
	.cfi_endproc
	.size	fidelity_target, . - fidelity_target

	.globl	fidelity_back

	.bss
	.balign	16
	.irp	name, before, inside, result, after
	.globl	fidelity_\name
fidelity_\name:
	.skip	STATE_SIZE
	.endr
	.globl	fidelity_sp, fidelity_chain, fidelity_vectors
fidelity_sp:
	.skip	8
fidelity_chain:
	.skip	8
fidelity_return:
	.skip	8
fidelity_vectors:
	.skip	4

	.section .note.GNU-stack, "", @progbits
