/* SPDX-License-Identifier: MIT */
/* arch_selftest_call(); see selftest-arch.h. */
#include "entry-macros.h"

#define FRAME	(ARCH_ABI_FRAME + 8 * WORD + 8 * 8)
#define OUT	(ARCH_ABI_FRAME)
#define FUNC_AT	(ARCH_ABI_FRAME + WORD)
#define R1_AT	(ARCH_ABI_FRAME + 2 * WORD)
#define R2_AT	(ARCH_ABI_FRAME + 3 * WORD)
#define R3_AT	(ARCH_ABI_FRAME + 4 * WORD)
#define R4_AT	(ARCH_ABI_FRAME + 5 * WORD)

	.text
	.globl	arch_selftest_call
	.hidden	arch_selftest_call
	.type	arch_selftest_call, @function
	.p2align 4
arch_selftest_call:
	STMG	%r6, %r15, 6 * WORD(%r15)
	lay	%r15, -FRAME(%r15)
	STG	%r3, OUT(%r15)
	STG	%r4, FUNC_AT(%r15)
	l	%r1, PT_MASK(%r2)		/* as SET_FLAGS of entry.S */
	sll	%r1, 16
	spm	%r1				/* no flag is changed from here to the call */
	LGR	%r14, %r4
	LMG	%r0, %r1, PT_R0(%r2)
	LMG	%r3, %r13, PT_R2 + WORD(%r2)
	LG	%r2, PT_R2(%r2)
	basr	%r14, %r14
1:	STG	%r1, R1_AT(%r15)
	STG	%r4, R4_AT(%r15)
	STG	%r2, R2_AT(%r15)
	STG	%r3, R3_AT(%r15)
	GET_MASK
	LG	%r1, OUT(%r15)
	st	%r2, PT_MASK(%r1)
#ifdef __s390x__
	st	%r3, PT_MASK + 4(%r1)
#endif
	STG	%r0, PT_R0(%r1)
	mvc	PT_R0 + WORD(4 * WORD,%r1), R1_AT(%r15)
	STMG	%r5, %r14, PT_R2 + 3 * WORD(%r1)
	STG	%r15, PT_R15(%r1)
	larl	%r2, 1b
	STG	%r2, PT_ADDR(%r1)
	LMG	%r6, %r15, FRAME + 6 * WORD(%r15)
	br	%r14
	.size	arch_selftest_call, . - arch_selftest_call

	.section .note.GNU-stack, "", @progbits
