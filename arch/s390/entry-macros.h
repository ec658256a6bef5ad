/* SPDX-License-Identifier: MIT */
/*
 * s390 trampolines, both widths: what entry-record.S (records) and entry.S (callbacks) share.
 *
 * A stub (arch-site.h) calls a trampoline at a function's entry and at its return. S is the stack
 * pointer the function was entered with.
 *
 * At the entry: r15 = S; r0 = the record's id; r14 = return address into the stub; r14, r15 and r0 to r5
 * as the caller left them are at S + ARCH_SAVE_AREA, from where the stub loads them again. So r0 to r5
 * are free, r6 to r13 as the caller left them, and so are the condition code and the floating point
 * registers. `br %r14` goes on into the function, `b HOOKED_FROM_ENTRY_RET(%r14)` calls it and comes back.
 *
 * At the return: r15 = S; r0 = the record's id; r14 = an address in the stub, which tells what site it
 * is; the return address is in the shadow of S. The trampoline returns there. r2 and r3 hold what the
 * function returns; r0, r1, r4, r5, r14 and the save area are free.
 *
 * Instructions by their names on s390x; the narrow ones are for 31 bits, where the processor is in
 * z/Architecture mode as well, with narrow addresses. None of these changes the upper half of a
 * register there.
 */
#ifndef FTRACE_ARCH_ENTRY_MACROS_H
#define FTRACE_ARCH_ENTRY_MACROS_H

#include "asm-offsets.h"
#include "arch-site.h"

#ifdef __s390x__
#define LG	lg
#define LTG	ltg
#define STG	stg
#define LMG	lmg
#define STMG	stmg
#define LGR	lgr
#define LTGR	ltgr
#define AG	ag
#define CG	cg
#define CGR	cgr
#define CLGR	clgr
#define SLGR	slgr
#define LGRL	lgrl
#define AGHI	aghi
#define MVGHI	mvghi
#define LLGC	llgc
#define CGHSI	cghsi
#else
#define LG	ly
#define LTG	lt
#define STG	sty
#define LMG	lmy
#define STMG	stmy
#define LGR	lr
#define LTGR	ltr
#define AG	ay
#define CG	cy
#define CGR	cr
#define CLGR	clr
#define SLGR	slr
#define LGRL	lrl
#define AGHI	ahi
#define MVGHI	mvhi
#define LLGC	llc
#define CGHSI	chsi
	.machinemode zarch
#endif
	.machine "z13"			/* the vector instructions; run only where there are any */

.macro FUNC name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.p2align 5
\name:
	.cfi_startproc
.endm

.macro ENDFUNC name
	.cfi_endproc
	.size	\name, . - \name
.endm

/* %r2 = this thread's state; to \none when it has none yet. Changes %r3. */
.macro SELF none
	ear	%r2, %a0
#ifdef __s390x__
	sllg	%r2, %r2, 32
	ear	%r2, %a1
#endif
	LGRL	%r3, ftrace_self@indntpoff
	LTG	%r2, 0(%r3,%r2)
	jz	\none
.endm

/*
 * r2, r3 = the mask of the program status word. The condition code in it is what IPM tells: some emulators'
 * EPSW has an old one. Changes r4 and, last, the condition code.
 */
.macro GET_MASK
	ipm	%r4
	epsw	%r2, %r3
	srl	%r4, 16
	nilf	%r4, 0x3f00
	nilf	%r2, 0xffffc0ff
	or	%r2, %r4
.endm

/* To \then while nobody is to be told of calls. Changes %r1. */
.macro IF_SILENT then
	lrl	%r1, ftrace_silent_local
	cijne	%r1, 0, \then
.endm

#endif /* FTRACE_ARCH_ENTRY_MACROS_H */
