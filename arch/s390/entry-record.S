/* SPDX-License-Identifier: MIT */
/* s390 trampolines that write records: the fast paths. See entry-macros.h for what they find. */
#include "entry-macros.h"

	.text

#define TICK		ARCH_SAVE_TICK

/* \t = this thread's state, or one without any room. Changes \temporary. */
.macro SELF_OR_NOBODY t, temporary
	ear	\t, %a0
#ifdef __s390x__
	sllg	\t, \t, 32
	ear	\t, %a1
#endif
	LGRL	\temporary, ftrace_self_or_nobody@indntpoff
	LG	\t, 0(\temporary,\t)
.endm

/*
 * Write the record %r0 = id, \t = thread. The four steps whose order keeps a stream sound under
 * signals are those of x86 (arch/x86/entry-record.S): a handler between (1) and (3) that records takes our
 * slot, and (3) fails; one between (3) and (4) finds the slot used and goes past it, and the pointer
 * that (4) sets back heals at the next record. What an unwritten slot holds is read before the slot's
 * address, or by the same instruction, which no signal divides. The time goes through the save area.
 *
 * 64 bits: changes \a, which is followed by \b, and the upper half of r0. 31 bits: r1, r3 to r5 and r0,
 * r1 being the id again.
 * The slow path takes over at \slow, with r0 as it was.
 */
#ifdef __s390x__
.macro RECORD t, a, b, slow
	lmg	\a, \b, T_UNWRITTEN(\t)		/* (0), (1) the slot */
	clg	\b, T_END(\t)			/* the packet is full, or there is none */
	jhe	\slow
	stckf	TICK(%r15)			/* (2) the time */
	clc	TICK(4,%r15), T_HI(\t)		/* the upper half is the packet's */
	jne	\slow
	lfh	%r0, TICK + 4(%r15)
	csg	\a, %r0, 0(\b)			/* (3) */
	jne	\slow				/* which starts over from the slot */
	la	\b, 8(\b)
	stg	\b, T_WP(\t)			/* (4) */
.endm
#else
.macro RECORD t, a, b, slow
	lm	%r4, %r5, T_UNWRITTEN(\t)	/* (0) */
	l	%r3, T_WP(\t)			/* (1) */
	cl	%r3, T_END(\t)
	jhe	\slow
	stckf	TICK(%r15)			/* (2) */
	clc	TICK(4,%r15), T_HI(\t)
	jne	\slow
	lr	%r1, %r0
	l	%r0, TICK + 4(%r15)
	cds	%r4, %r0, 0(%r3)		/* (3) r0 and r1 */
	lr	%r0, %r1
	jne	\slow
	la	%r3, 8(%r3)
	st	%r3, T_WP(\t)			/* (4) */
.endm
#endif

/* \shadow = where the shadow of S is. Changes \temporary. */
.macro SHADOW shadow, temporary
#ifdef __s390x__
	lgr	\shadow, %r15
	xihf	\shadow, 1 << (ARCH_SHADOW_BIT - 32)
#else
	lr	\shadow, %r15
	srl	\shadow, 12
	sll	\shadow, 2
	larl	\temporary, ftrace_shadow_pages
	l	\temporary, 0(\shadow,\temporary)
	lr	\shadow, %r15
	sll	\shadow, 2			/* SHADOW_WORDS */
	alr	\shadow, \temporary
#endif
.endm

/* The frame of a call of C: \room bytes above what its callee may save in, from \room on r14. */
#define SLOW_FRAME	(ARCH_ABI_FRAME + 32)
#define SLOW_R14	(ARCH_ABI_FRAME)
#define SLOW_R2		(ARCH_ABI_FRAME + 8)

/*
 * Call ftrace_record_slow(id, S, 0). C is compiled for general registers only and keeps r6 to r13. Leaves
 * its result in r2.
 */
.macro CALL_SLOW
	lay	%r15, -SLOW_FRAME(%r15)
	.cfi_adjust_cfa_offset SLOW_FRAME
	STG	%r14, SLOW_R14(%r15)
	.cfi_rel_offset %r14, SLOW_R14
	la	%r3, SLOW_FRAME(%r15)
	STG	%r3, 0(%r15)			/* the back chain */
	rll	%r2, %r0, 2			/* event and site as C has them */
#ifdef __s390x__
	llgfr	%r2, %r2
#endif
	la	%r4, 0
	brasl	%r14, ftrace_record_slow
	LG	%r14, SLOW_R14(%r15)
	.cfi_restore %r14
	la	%r15, SLOW_FRAME(%r15)
	.cfi_adjust_cfa_offset -SLOW_FRAME
.endm

/* To \leave where thread \t is not one that was chosen. */
.macro IF_UNCHOSEN t, leave
	chsi	T_UNCHOSEN(\t), 0
	jne	\leave
.endm

/* One record at entry; the return is not hooked. \choosy: only of threads that were chosen. */
.macro FUNCTION_ENTRY choosy
	oilh	%r0, (RECORD_FUNCTION >> 16) & 0xffff	/* stubs say ENTRY */
	IF_SILENT 3f
	SELF_OR_NOBODY %r2, %r3
.if \choosy
	IF_UNCHOSEN %r2, 3f
.endif
	RECORD	%r2, %r3, %r4, 2f
3:	br	%r14
2:	CALL_SLOW
	br	%r14
.endm

FUNC ftrace_record_function
	FUNCTION_ENTRY choosy=0
ENDFUNC ftrace_record_function

FUNC ftrace_record_function_chosen
	FUNCTION_ENTRY choosy=1
ENDFUNC ftrace_record_function_chosen

/*
 * A record at entry, the return address copied to the shadow, the call hooked; for a tail call from a
 * hooked function (its return address is a stub's) a record only. \choosy: only of threads that were chosen.
 */
.macro GRAPH_ENTRY choosy
	IF_SILENT 9f
	SELF_OR_NOBODY %r2, %r3
.if \choosy
	IF_UNCHOSEN %r2, 9f
.endif
	LMG	%r3, %r5, T_TOP(%r2)		/* the call around this one; the stack with shadow */
#ifdef __s390x__
	slgrk	%r4, %r15, %r4
	clgrjhe	%r4, %r5, 2f
	lg	%r4, ARCH_SAVE_AREA(%r15)	/* the return address */
	risbg	%r5, %r4, 58, 128 + 63, 0	/* stubs are 64 bytes: only one in 32 return */
#else
	slrk	%r4, %r15, %r4
	clrjhe	%r4, %r5, 2f
	l	%r4, ARCH_SAVE_AREA(%r15)
	lr	%r5, %r4
	nilf	%r5, 63
#endif
	cije	%r5, ARCH_STUB_RET, 4f		/* addresses needs a closer look */
3:
#ifdef __s390x__
	clgrjhe	%r15, %r3, 2f			/* at or below us: that call has been left */
	SHADOW	%r1
	stmg	%r3, %r4, -8(%r1)
#else
	clrjhe	%r15, %r3, 2f
	SHADOW	%r1, %r5
	st	%r4, 0(%r1)
	st	%r3, SHADOW_AROUND(%r1)
	lr	%r5, %r0
	sll	%r5, 2
	st	%r5, SHADOW_SITE(%r1)
#endif
	RECORD	%r2, %r3, %r4, 2f
	STG	%r15, T_TOP(%r2)
	b	HOOKED_FROM_ENTRY_RET(%r14)

2:	CALL_SLOW
	LTGR	%r2, %r2
	jne	9f
	b	HOOKED_FROM_ENTRY_RET(%r14)

4:	larl	%r5, ftrace_regions		/* r4 in any region of stubs? */
5:	LGR	%r1, %r4
#ifdef __s390x__
	slg	%r1, REGION_LO(%r5)
	clg	%r1, REGION_SIZE(%r5)
#else
	nilh	%r1, 0x7fff
	sl	%r1, REGION_LO(%r5)
	cl	%r1, REGION_SIZE(%r5)
#endif
	jl	6f
	AGHI	%r5, REGION_sizeof
	CGHSI	REGION_SIZE(%r5), 0
	jne	5b
	j	3b

6:	CGR	%r15, %r3			/* a tail call: the caller's exit ends both. It is the */
	jne	2b				/* innermost call, if none was left */
	RECORD	%r2, %r3, %r4, 2b
	iilf	%r0, RECORD_TAIL & 0xffffffff
	RECORD	%r2, %r3, %r4, 2b
9:	br	%r14
.endm

FUNC ftrace_record_entry
	GRAPH_ENTRY choosy=0
ENDFUNC ftrace_record_entry

FUNC ftrace_record_entry_chosen
	GRAPH_ENTRY choosy=1
ENDFUNC ftrace_record_entry_chosen

/* To the address in r14, with a record written. Everything else is as the function left it. */
.macro EXIT_SLOW
	lay	%r15, -SLOW_FRAME(%r15)
	.cfi_adjust_cfa_offset SLOW_FRAME
	STG	%r14, SLOW_R14(%r15)
	.cfi_rel_offset %r14, SLOW_R14
	STMG	%r2, %r3, SLOW_R2(%r15)
	la	%r3, SLOW_FRAME(%r15)
	STG	%r3, 0(%r15)
	rll	%r2, %r0, 2
#ifdef __s390x__
	llgfr	%r2, %r2
#endif
	la	%r4, 0
	brasl	%r14, ftrace_record_slow
	LMG	%r2, %r3, SLOW_R2(%r15)
	LG	%r14, SLOW_R14(%r15)
	.cfi_restore %r14
	la	%r15, SLOW_FRAME(%r15)
	.cfi_adjust_cfa_offset -SLOW_FRAME
	br	%r14
.endm

/*
 * The return: a record, and back to the caller. Whether tracers are silent is not asked: who was told of
 * the entry is told of the return.
 */
FUNC ftrace_record_exit
#ifdef __s390x__
	lay	%r5, -8(%r15)
	xihf	%r5, 1 << (ARCH_SHADOW_BIT - 32)
	lg	%r14, 8(%r5)
	SELF_OR_NOBODY %r1, %r4
	mvc	T_TOP(8,%r1), 0(%r5)		/* the call around this one is the innermost now */
	RECORD	%r1, %r4, %r5, 2f
	br	%r14
#else
	SHADOW	%r5, %r4
	l	%r14, 0(%r5)
	STMG	%r2, %r3, ARCH_SAVE_AREA(%r15)
	SELF_OR_NOBODY %r2, %r4
	mvc	T_TOP(4,%r2), SHADOW_AROUND(%r5)
	RECORD	%r2, %r3, %r4, 1f
	LMG	%r2, %r3, ARCH_SAVE_AREA(%r15)
	br	%r14
1:	LMG	%r2, %r3, ARCH_SAVE_AREA(%r15)
#endif
2:	EXIT_SLOW
ENDFUNC ftrace_record_exit

/* As ftrace_record_entry and _exit where every call has more to be decided: always in C. */
FUNC ftrace_record_entry_checked
	CALL_SLOW
	LTGR	%r2, %r2
	bner	%r14
	b	HOOKED_FROM_ENTRY_RET(%r14)
ENDFUNC ftrace_record_entry_checked

FUNC ftrace_record_exit_checked
	SHADOW	%r5, %r4
	LG	%r14, 0(%r5)
	EXIT_SLOW
ENDFUNC ftrace_record_exit_checked

	.section .note.GNU-stack, "", @progbits
