/* SPDX-License-Identifier: MIT */
/* s390 trampolines that call callbacks, both widths. See entry-macros.h for what they find. */
#include "entry-macros.h"

	.text

/* Nobody is told of this call. */
FUNC ftrace_stub_pass
	br	%r14
ENDFUNC ftrace_stub_pass

/*
 * The frame of the trampolines that call C with registers, from r15 up:
 *
 *	0		back chain, and what the C function may save in
 *	FRAME_REGS	struct pt_regs
 *	FRAME_VEC	where the floating point and vector registers are saved, 0: they are not
 *	FRAME_STUB	return address into the stub
 *	FRAME_FPC	the floating point control register
 *	FRAME_VECTORS	v0 to v7, then v16 to v31; without vector registers f0 to f7, as far apart
 *	FRAME		S
 */
#define FRAME_REGS	ARCH_ABI_FRAME
#define FRAME_VEC	(FRAME_REGS + PT_sizeof)
#define FRAME_STUB	(FRAME_VEC + WORD)
#define FRAME_FPC	(FRAME_STUB + WORD)
#define VECTOR		16			/* bytes of one */
#define FRAME_VECTORS	(FRAME_FPC + WORD)
#define FRAME_VECTORS_16 (FRAME_VECTORS + 8 * VECTOR)	/* where v16 is */
#define FRAME		((FRAME_VECTORS + 24 * VECTOR + 15) / 16 * 16)

#define REGS(field)	(FRAME_REGS + PT_##field)

/*
 * The macro pair. FRAME_ENTER saves every general register, changing nothing but r0 to r5, which the stub
 * has kept; with \flags also the condition code, read before anything changes it. Leaves in r1 S, in
 * r14 what it held.
 */
.macro FRAME_ENTER flags
	lay	%r15, -FRAME(%r15)
	.cfi_adjust_cfa_offset FRAME
	STG	%r14, FRAME_STUB(%r15)
	.cfi_rel_offset %r14, FRAME_STUB
	la	%r1, FRAME(%r15)
	STG	%r1, 0(%r15)
	STG	%r1, REGS(R15)(%r15)
	mvc	REGS(R0)(6 * WORD,%r15), ARCH_SAVE_AREA + 2 * WORD(%r1)
	mvc	REGS(R14)(WORD,%r15), ARCH_SAVE_AREA(%r1)
	mvc	REGS(ORIG_R2)(WORD,%r15), REGS(R2)(%r15)
	STMG	%r6, %r13, REGS(R6)(%r15)
	.cfi_rel_offset %r6, REGS(R6)
	.cfi_rel_offset %r7, REGS(R6) + WORD
	.cfi_rel_offset %r8, REGS(R6) + 2 * WORD
	.cfi_rel_offset %r9, REGS(R6) + 3 * WORD
	.cfi_rel_offset %r10, REGS(R6) + 4 * WORD
	.cfi_rel_offset %r11, REGS(R6) + 5 * WORD
	.cfi_rel_offset %r12, REGS(R6) + 6 * WORD
	.cfi_rel_offset %r13, REGS(R6) + 7 * WORD
	.ifnb \flags
	GET_MASK
	st	%r2, REGS(MASK)(%r15)
#ifdef __s390x__
	st	%r3, REGS(MASK) + 4(%r15)
#endif
	.endif
	MVGHI	FRAME_VEC(%r15), 0
.endm

/*
 * The other way: back to the stub, which loads r14, r15 and r0 to r5 from the save area, at \to bytes
 * behind where it called. With \flags the condition code and the program mask are those of pt_regs;
 * nothing behind SPM changes them.
 */
.macro FRAME_LEAVE to, flags
	.cfi_remember_state
	la	%r1, FRAME(%r15)
	mvc	ARCH_SAVE_AREA(WORD,%r1), REGS(R14)(%r15)
	mvc	ARCH_SAVE_AREA + 2 * WORD(6 * WORD,%r1), REGS(R0)(%r15)
	.ifnb \flags
	SET_FLAGS
	.endif
	LMG	%r6, %r13, REGS(R6)(%r15)
	LG	%r14, FRAME_STUB(%r15)
	lay	%r15, FRAME(%r15)
	.cfi_def_cfa_offset ARCH_ABI_FRAME
	.irp	reg, 6,7,8,9,10,11,12,13,14
	.cfi_restore %r\reg
	.endr
	b	\to(%r14)
	.cfi_restore_state
.endm

/* Bits 18 to 23 of the mask, its first word's 0x3f00, are bits 2 to 7 of SPM's operand. */
.macro SET_FLAGS
	l	%r2, REGS(MASK)(%r15)
	sll	%r2, 16
	spm	%r2
.endm

/* To pt_regs' address, with its registers, but for r1, which takes the address there. */
.macro GO_ELSEWHERE
	.cfi_remember_state
	SET_FLAGS
	LG	%r0, REGS(R0)(%r15)
	LG	%r1, REGS(ADDR)(%r15)
	LMG	%r2, %r15, REGS(R2)(%r15)
	.cfi_def_cfa_offset ARCH_ABI_FRAME
	.irp	reg, 6,7,8,9,10,11,12,13,14
	.cfi_restore %r\reg
	.endr
	br	%r1
	.cfi_restore_state
.endm

/* Floating point and vector registers that a call may change, FPC. Changes r1. */
.macro SAVE_VECTORS
	stfpc	FRAME_FPC(%r15)
	la	%r1, FRAME_VECTORS(%r15)
	STG	%r1, FRAME_VEC(%r15)
	lrl	%r1, ftrace_have_vectors
	cije	%r1, 0, 71f
	vstm	%v0, %v7, FRAME_VECTORS(%r15)
	vstm	%v16, %v31, FRAME_VECTORS_16(%r15)
	j	73f
71:	.irp	n, 0,1,2,3,4,5,6,7
	std	%f\n, FRAME_VECTORS + \n * VECTOR(%r15)
	.endr
73:
.endm

/* The same back, if they were saved. Changes r1. */
.macro RESTORE_VECTORS
	LTG	%r1, FRAME_VEC(%r15)
	jz	73f
	lfpc	FRAME_FPC(%r15)
	lrl	%r1, ftrace_have_vectors
	cije	%r1, 0, 71f
	vlm	%v0, %v7, FRAME_VECTORS(%r15)
	vlm	%v16, %v31, FRAME_VECTORS_16(%r15)
	j	73f
71:	.irp	n, 0,1,2,3,4,5,6,7
	ld	%f\n, FRAME_VECTORS + \n * VECTOR(%r15)
	.endr
73:
.endm

/*
 * The function tracer: one callback, dyn_ftrace.ops (a list of several is an ops of its own). With
 * \flags all registers are there and count, the address included; without, the minimum.
 *
 * Over the calls: r6 the site, r7 the thread if the callback is to be marked as done, r8 the body.
 * A thread is in a callback while T_CALLBACK is the address of the frame that began it, from before
 * the ops is read (pairs with the barrier in ftrace_synchronize) until the callback is done.
 */
.macro CALLER name, flags
FUNC \name
	FRAME_ENTER \flags
	lay	%r6, SITE_FROM_ENTRY_RET(%r14)
	LLGC	%r8, SITE_BODY_DELTA(%r6)
	AG	%r8, SITE_IP(%r6)
#ifndef __s390x__
	oilh	%r8, 0x8000
#endif
	STG	%r8, REGS(ADDR)(%r15)
	IF_SILENT 8f
	SELF	7f
1:	LGR	%r7, %r2
	CGHSI	T_CALLBACK(%r7), 0
	jne	4f
	STG	%r15, T_CALLBACK(%r7)
2:	LG	%r2, REGS(R14)(%r15)		/* the parent; a stub, perhaps: who is behind it? */
	la	%r3, FRAME(%r15)
	brasl	%r14, ftrace_real_parent
	LGR	%r3, %r2
	LTG	%r4, SITE_OPS(%r6)
	jz	6f
	.ifb \flags				/* new here, and wants more than we have saved: from the */
	tm	OPS_FLAGS_LOW(%r4), OPS_SAVE_REGS	/* next call on; those that do not are told */
	jz	5f
	larl	%r4, ftrace_list_ops
5:
	.endif
	tm	OPS_FLAGS_LOW(%r4), OPS_GENERAL_REGS
	jnz	3f
	SAVE_VECTORS
3:	LG	%r2, SITE_IP(%r6)
	la	%r5, FRAME_REGS(%r15)
	LG	%r1, OPS_CALL(%r4)
	basr	%r14, %r1			/* r6: the site, for the list; see ftrace_call_t */
	RESTORE_VECTORS
6:	LTGR	%r7, %r7
	jz	8f
	MVGHI	T_CALLBACK(%r7), 0
8:
	.ifnb \flags
	LG	%r1, REGS(ADDR)(%r15)
	la	%r2, FRAME(%r15)
#ifndef __s390x__
	oilh	%r1, 0x8000
#endif
	CGR	%r1, %r8
	jne	10f
	CG	%r2, REGS(R15)(%r15)
	jne	10f
	.endif
	FRAME_LEAVE 0, \flags
	.ifnb \flags
10:	STG	%r1, REGS(ADDR)(%r15)
	CLG_R15	%r2				/* below S stands our own frame: sp can be raised, */
	jle	11f				/* not lowered */
	STG	%r2, REGS(R15)(%r15)
11:	GO_ELSEWHERE
	.endif

4:	LGR	%r2, %r7			/* really a callback inside another? Or was that one */
	la	%r3, FRAME(%r15)		/* left by a signal handler's siglongjmp? */
	LGR	%r4, %r15
	brasl	%r14, ftrace_callback_replace
	LTGR	%r2, %r2
	jne	2b
	la	%r7, 0
	j	2b

7:	brasl	%r14, ftrace_thread_get		/* this thread's first traced call */
	LTGR	%r2, %r2
	jne	1b
	j	8b
ENDFUNC \name
.endm

.macro CLG_R15 reg
#ifdef __s390x__
	clg	\reg, REGS(R15)(%r15)
#else
	cl	\reg, REGS(R15)(%r15)
#endif
.endm

	CALLER	ftrace_caller,
	CALLER	ftrace_regs_caller, flags

/*
 * A site's business in C, with every register: graph ops with callbacks, alone or beside function
 * ops, and any mixture while a site is changed. See FTRACE_GO_* in arch.h.
 */
FUNC ftrace_graph_caller
	FRAME_ENTER flags
	lay	%r3, SITE_FROM_ENTRY_RET(%r14)
	tm	SITE_FLAGS_LOW(%r3), SITE_GENERAL
	jnz	1f
	SAVE_VECTORS
1:	la	%r2, FRAME_REGS(%r15)
	brasl	%r14, ftrace_regs_func
	RESTORE_VECTORS
	cije	%r2, 1, 2f			/* hooked */
	cijh	%r2, 1, 3f			/* elsewhere */
	FRAME_LEAVE 0, flags
2:	FRAME_LEAVE HOOKED_FROM_ENTRY_RET, flags
3:
#ifndef __s390x__
	oi	REGS(ADDR)(%r15), 0x80
#endif
	GO_ELSEWHERE
ENDFUNC ftrace_graph_caller

/* The return of a call that ftrace_graph_caller hooked. */
FUNC ftrace_graph_return
	STMG	%r14, %r5, ARCH_SAVE_AREA(%r15)	/* as a stub does at the entry */
	FRAME_ENTER flags
	lay	%r3, SITE_FROM_EXIT_RET(%r14)
	tm	SITE_FLAGS_LOW(%r3), SITE_GENERAL
	jnz	1f
	SAVE_VECTORS
1:	la	%r2, FRAME_REGS(%r15)
	brasl	%r14, ftrace_graph_return_func
	STG	%r2, REGS(R14)(%r15)
	RESTORE_VECTORS
	SET_FLAGS
	LMG	%r0, %r14, REGS(R0)(%r15)
	.irp	reg, 6,7,8,9,10,11,12,13,14
	.cfi_restore %r\reg
	.endr
	lay	%r15, FRAME(%r15)
	.cfi_def_cfa_offset ARCH_ABI_FRAME
	br	%r14
ENDFUNC ftrace_graph_return

/* The frame of what follows: above what a function called needs, the double and the return address. */
#define FP_DOUBLE	ARCH_ABI_FRAME
#define FP_RETURN	(ARCH_ABI_FRAME + 8)
#define FP_FRAME	(ARCH_ABI_FRAME + 16)

/* double regs_get_fp_argument(regs, n) and its twin, whose doubles travel in f0. */
	.globl	regs_get_fp_argument
	.type	regs_get_fp_argument, @function
	.p2align 3
regs_get_fp_argument:
	.cfi_startproc
	lay	%r15, -(FP_FRAME)(%r15)
	.cfi_adjust_cfa_offset (FP_FRAME)
	STG	%r14, FP_RETURN(%r15)
	.cfi_rel_offset %r14, FP_RETURN
	la	%r4, FP_DOUBLE(%r15)
	brasl	%r14, regs_fp_bits
	ld	%f0, FP_DOUBLE(%r15)
	LG	%r14, FP_RETURN(%r15)
	.cfi_restore %r14
	la	%r15, FP_FRAME(%r15)
	.cfi_adjust_cfa_offset -(FP_FRAME)
	br	%r14
	.cfi_endproc
	.size	regs_get_fp_argument, . - regs_get_fp_argument

	.globl	regs_set_fp_argument
	.type	regs_set_fp_argument, @function
	.p2align 3
regs_set_fp_argument:
	.cfi_startproc
	lay	%r15, -(FP_FRAME)(%r15)
	.cfi_adjust_cfa_offset (FP_FRAME)
	STG	%r14, FP_RETURN(%r15)
	.cfi_rel_offset %r14, FP_RETURN
	std	%f0, FP_DOUBLE(%r15)
	la	%r4, FP_DOUBLE(%r15)
	brasl	%r14, regs_set_fp_bits
	LG	%r14, FP_RETURN(%r15)
	.cfi_restore %r14
	la	%r15, FP_FRAME(%r15)
	.cfi_adjust_cfa_offset -(FP_FRAME)
	br	%r14
	.cfi_endproc
	.size	regs_set_fp_argument, . - regs_set_fp_argument

/* Compiled-in calls at sites that are not armed. */
	.globl	__fentry__, _mcount, mcount
	.type	__fentry__, @function
	.type	_mcount, @function
	.type	mcount, @function
	.p2align 3
__fentry__:				/* called by `brasl %r0`, which is no register to branch to */
	.cfi_startproc
	.cfi_return_column %r0
	LGR	%r1, %r0
	br	%r1
	.cfi_endproc
	.size	__fentry__, . - __fentry__
_mcount:
mcount:
	.cfi_startproc
	br	%r14
	.cfi_endproc
	.size	_mcount, . - _mcount
	.size	mcount, . - mcount

	.section .note.GNU-stack, "", @progbits
