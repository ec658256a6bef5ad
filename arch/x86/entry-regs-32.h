/* SPDX-License-Identifier: MIT */
/* i386 trampolines that call C with registers: their frame. For entry-32.S (sites) and entry-probe-32.S (probes). */
#ifndef FTRACE_ARCH_ENTRY_REGS_32_H
#define FTRACE_ARCH_ENTRY_REGS_32_H

#include "entry-macros-32.h"

/*
 * The frame of the trampolines that call C with registers, from %esp up:
 *
 *	0		FRAME_FLAGS: as they were, in ftrace_caller
 *	4		FRAME_THREAD: where the callback is to be marked as done, 0: nowhere
 *	8		FRAME_X87: where the x87 registers are saved, 0: they are not
 *	12		FRAME_PARENT: what the callback is told
 *	16		FRAME_STUB: return address into the stub
 *	20		FRAME_VEC: where the vector registers are saved, 0: they are not
 *	24		struct pt_regs up to its sp, which is the function's stack top itself
 *
 * At an entry the stack top is slot, so pt_regs' flags lie where the stub's id was, its cs where the
 * return address into the stub was, its ip in the first free word. At a return it is the word
 * above "back" of arch-site.h, and everything lies one word higher.
 */
#define FRAME_FLAGS	0
#define FRAME_THREAD	4
#define FRAME_X87	8
#define FRAME_PARENT	12
#define FRAME_STUB	16
#define FRAME_VEC	20
#define REGS		24
#define FRAME_TOP	(REGS + PT_ESP)		/* the function's stack top */
/* From %esp as a trampoline finds it, at an entry and at a return. */
#define ENTRY_FRAME	(FRAME_TOP - 8)
#define RETURN_FRAME	(FRAME_TOP - 12)

/*
 * See CALLBACK_BEGIN and CALLBACK_NESTED in entry.S. %ecx = thread; \nested is where a callback goes that
 * may be inside another.
 */
.macro CALLBACK_BEGIN nested
	movl	%ecx, FRAME_THREAD(%esp)
	cmpl	$0, T_CALLBACK(%ecx)
	jne	\nested
	movl	%esp, T_CALLBACK(%ecx)
.endm

.macro CALLBACK_NESTED
	ON_EBP
	leal	FRAME_TOP(%ebp), %edx
	CALL_C	ftrace_callback_replace, %ecx, %edx, %ebp
	OFF_EBP
	negl	%eax				/* 1: it takes the other's place; 0: it does not */
	andl	%eax, FRAME_THREAD(%esp)
.endm

.macro CALLBACK_END
	movl	FRAME_THREAD(%esp), %ecx
	testl	%ecx, %ecx
	jz	78f
	movl	$0, T_CALLBACK(%ecx)
78:
.endm

.macro SAVE_GENERAL
	movl	%ebx, (REGS + PT_EBX)(%esp)
	movl	%ecx, (REGS + PT_ECX)(%esp)
	movl	%edx, (REGS + PT_EDX)(%esp)
	movl	%esi, (REGS + PT_ESI)(%esp)
	movl	%edi, (REGS + PT_EDI)(%esp)
	movl	%ebp, (REGS + PT_EBP)(%esp)
	movl	%eax, (REGS + PT_EAX)(%esp)
	.cfi_rel_offset %ebx, REGS + PT_EBX
	.cfi_rel_offset %esi, REGS + PT_ESI
	.cfi_rel_offset %edi, REGS + PT_EDI
	.cfi_rel_offset %ebp, REGS + PT_EBP
.endm

.macro RESTORE_GENERAL
	movl	(REGS + PT_EBX)(%esp), %ebx
	movl	(REGS + PT_ECX)(%esp), %ecx
	movl	(REGS + PT_EDX)(%esp), %edx
	movl	(REGS + PT_ESI)(%esp), %esi
	movl	(REGS + PT_EDI)(%esp), %edi
	movl	(REGS + PT_EBP)(%esp), %ebp
	movl	(REGS + PT_EAX)(%esp), %eax
	.cfi_restore %ebx
	.cfi_restore %esi
	.cfi_restore %edi
	.cfi_restore %ebp
.endm

/*
 * What else belongs to pt_regs. The flags are where pushfl left them, \flags; the return address
 * into the stub is at \stub and goes to FRAME_STUB and %esi. Changes %eax.
 */
.macro SAVE_REST flags, stub
	movl	(\stub)(%esp), %esi
	movl	%esi, FRAME_STUB(%esp)
	.cfi_rel_offset %eip, FRAME_STUB
	movl	(\flags)(%esp), %eax
	movl	%eax, (REGS + PT_EFLAGS)(%esp)
	movl	$-1, (REGS + PT_ORIG_EAX)(%esp)	/* no system call */
	movl	%cs, %eax
	movl	%eax, (REGS + PT_CS)(%esp)
	movl	%ds, %eax
	movl	%eax, (REGS + PT_DS)(%esp)
	movl	%es, %eax
	movl	%eax, (REGS + PT_ES)(%esp)
	movl	%fs, %eax
	movl	%eax, (REGS + PT_FS)(%esp)
	movl	%gs, %eax
	movl	%eax, (REGS + PT_GS)(%esp)
.endm

#define FLAGS_DF	0x400
#define X87_TOP		0x3800		/* in the status word: not 0 when registers are in use */

/*
 * Vector registers 0-7 in their widest form, below an aligned %esp; %ebp is the frame.
 * ftrace_vector_kind says which; it may change while a callback runs, so what was saved is noted
 * beside it. The x87 registers hold no arguments, but a return value; saving them takes ten times as
 * long as asking whether they hold anything. Changes %eax and flags.
 */
#define VECTORS_XMM	0			/* xmm0-7 */
#define VECTORS_YMM	1			/* ymm0-7 */
#define VECTORS_ZMM	2			/* zmm0-7 */
#define VECTORS_ALL	3			/* and k0-7 */

#define VEC_KIND	(8 * 64)		/* behind the vectors */
#define VEC_MASKS	(9 * 64)
#define VEC_X87		(10 * 64)
#define VEC_SIZE	(12 * 64)

.macro SAVE_VECTORS
	subl	$VEC_SIZE, %esp
	andl	$-64, %esp
	movl	ftrace_vector_kind@GOTOFF(%ebx), %eax
	movl	%eax, VEC_KIND(%esp)
	movl	%esp, FRAME_VEC(%ebp)
	cmpl	$VECTORS_YMM, %eax
	jb	71f
	je	72f
	.irp	n, 0,1,2,3,4,5,6,7
	vmovups	%zmm\n, (\n * 64)(%esp)
	.endr
	cmpl	$VECTORS_ZMM, %eax
	je	73f
	.irp	n, 0,1,2,3,4,5,6,7
	kmovq	%k\n, (VEC_MASKS + \n * 8)(%esp)
	.endr
	jmp	73f
72:	.irp	n, 0,1,2,3,4,5,6,7
	vmovups	%ymm\n, (\n * 64)(%esp)
	.endr
	jmp	73f
71:	.irp	n, 0,1,2,3,4,5,6,7
	movups	%xmm\n, (\n * 64)(%esp)
	.endr
73:	fnstsw	%ax
	testl	$X87_TOP, %eax
	jz	74f
	leal	VEC_X87(%esp), %eax
	movl	%eax, FRAME_X87(%ebp)
	fnsave	(%eax)
	fldcw	(%eax)				/* the thread's rounding and precision */
74:
.endm

/* The same back, what of it was saved. Changes %ecx, %edx and flags, not %eax. */
.macro RESTORE_VECTORS
	movl	FRAME_X87(%ebp), %edx
	testl	%edx, %edx
	jz	75f
	frstor	(%edx)
75:	movl	FRAME_VEC(%ebp), %edx
	testl	%edx, %edx
	jz	73f
	movl	VEC_KIND(%edx), %ecx
	cmpl	$VECTORS_YMM, %ecx
	jb	71f
	je	72f
	.irp	n, 0,1,2,3,4,5,6,7
	vmovups	(\n * 64)(%edx), %zmm\n
	.endr
	cmpl	$VECTORS_ZMM, %ecx
	je	73f
	.irp	n, 0,1,2,3,4,5,6,7
	kmovq	(VEC_MASKS + \n * 8)(%edx), %k\n
	.endr
	jmp	73f
72:	.irp	n, 0,1,2,3,4,5,6,7
	vmovups	(\n * 64)(%edx), %ymm\n
	.endr
	jmp	73f
71:	.irp	n, 0,1,2,3,4,5,6,7
	movups	(\n * 64)(%edx), %xmm\n
	.endr
73:
.endm

.macro ON_EBP				/* from here to OFF_EBP %ebp is the frame */
	movl	%esp, %ebp
	.cfi_remember_state
	.cfi_def_cfa_register %ebp
.endm

.macro OFF_EBP
	movl	%ebp, %esp
	.cfi_restore_state
.endm

/* Call a C function with one to three arguments; on %ebp. */
.macro CALL_C func, args:vararg
	andl	$-16, %esp
	subl	$16, %esp
	PUT_ARGS 0, \args
	call	\func
.endm

.macro PUT_ARGS at, first, rest:vararg
	movl	\first, (\at)(%esp)
	.ifnb	\rest
	PUT_ARGS (\at + 4), \rest
	.endif
.endm

/* The frame with full registers at an entry: %esi = the site, %ebx = the global offset table. */
.macro ENTER_REGS
	pushfl
	.cfi_adjust_cfa_offset 4
	leal	-(ENTRY_FRAME - 4)(%esp), %esp
	.cfi_adjust_cfa_offset (ENTRY_FRAME - 4)
	SAVE_GENERAL
	SAVE_REST (FRAME_TOP - 12), (FRAME_TOP - 8)
	cld
	addl	$SITE_FROM_ENTRY_RET, %esi
	GOT
.endm

/*
 * The ends of the trampolines that saved every register. Back to the stub, which says by the carry how
 * to go on; \carry (a carry to be set) or the flags as they are, which must have it clear.
 */
.macro GO_ON carry
	.cfi_remember_state
	movl	(REGS + PT_EFLAGS)(%esp), %eax
	movl	FRAME_STUB(%esp), %ecx
	movl	%eax, (FRAME_TOP - 12)(%esp)
	movl	%ecx, (FRAME_TOP - 8)(%esp)
	.cfi_rel_offset %eip, FRAME_TOP - 8
	RESTORE_GENERAL
	leal	(FRAME_TOP - 12)(%esp), %esp
	.cfi_adjust_cfa_offset -(FRAME_TOP - 12)
	popfl
	.cfi_adjust_cfa_offset -4
	\carry
	ret	$4
	.cfi_restore_state
.endm

/* To pt_regs' ip, past the stub. */
.macro GO_ELSEWHERE
	.cfi_remember_state
	movl	(REGS + PT_EIP)(%esp), %eax
	movl	(REGS + PT_EFLAGS)(%esp), %ecx
	movl	%ecx, (FRAME_TOP - 8)(%esp)
	movl	%eax, (FRAME_TOP - 4)(%esp)
	RESTORE_GENERAL
	leal	(FRAME_TOP - 8)(%esp), %esp
	.cfi_def_cfa %esp, 12			/* the caller's frame, as at a function's entry */
	.cfi_offset %eip, -4
	popfl
	.cfi_adjust_cfa_offset -4
	ret
	.cfi_restore_state
.endm

#endif /* FTRACE_ARCH_ENTRY_REGS_32_H */
