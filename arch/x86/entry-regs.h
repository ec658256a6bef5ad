/* SPDX-License-Identifier: MIT */
/* x86_64 trampolines that call C with registers: their frame. For entry.S (sites) and entry-probe.S (probes). */
#ifndef FTRACE_ARCH_ENTRY_REGS_H
#define FTRACE_ARCH_ENTRY_REGS_H

#include "entry-macros.h"

/*
 * The frame of the trampolines that call C with registers, from %rsp up:
 *
 *	0		struct pt_regs
 *	PT_sizeof	FRAME_VEC: where the vector registers are saved, 0: they are not
 *	PT_sizeof+8	FRAME_FLAGS: what pushfq left
 *	PT_sizeof+16	return address into the stub
 *	PT_sizeof+24	the caller's %r11
 *	PT_sizeof+32	slot
 */
#define FRAME_VEC	PT_sizeof
#define FRAME_FLAGS	(PT_sizeof + 8)
#define FRAME_STUB	(PT_sizeof + 16)
#define FRAME_R11	(PT_sizeof + 24)
#define FRAME_SLOT	(PT_sizeof + 32)

#define USER_CS		0x33
#define USER_DS		0x2b

/*
 * A thread is in a callback: T_CALLBACK is the address of the frame that began it, from before the
 * ops is read (pairs with the barrier in ftrace_synchronize) until the callback is done. A plain
 * store and a predicted branch, no counting: a counter's way through memory, twice a call, was half of an
 * empty callback's time. \nested is where a callback inside another goes.
 */
.macro CALLBACK_BEGIN nested
	cmpq	$0, T_CALLBACK(%rcx)
	jne	\nested
	movq	%rsp, T_CALLBACK(%rcx)
.endm

/*
 * \nested: is there really a callback under way further down the stack, or did a signal handler
 * leave it by siglongjmp? Then this one takes its place. %rcx = the thread; nonzero %eax: it does.
 */
.macro CALLBACK_NESTED
	ON_RBP
	andq	$-16, %rsp
	movq	%rcx, %rdi
	leaq	FRAME_SLOT(%rbp), %rsi
	movq	%rbp, %rdx
	call	ftrace_callback_replace
	OFF_RBP
.endm

/* The registers every callback gets: what a function's arguments can be in, %rbp to stand on. */
.macro SAVE_ARGS
	movq	%rax, PT_RAX(%rsp)
	movq	%rdi, PT_RDI(%rsp)
	movq	%rsi, PT_RSI(%rsp)
	movq	%rdx, PT_RDX(%rsp)
	movq	%rcx, PT_RCX(%rsp)
	movq	%r8, PT_R8(%rsp)
	movq	%r9, PT_R9(%rsp)
	movq	%r10, PT_R10(%rsp)
	movq	%rbp, PT_RBP(%rsp)
	.cfi_rel_offset %rbp, PT_RBP
.endm

.macro RESTORE_ARGS
	movq	PT_RAX(%rsp), %rax
	movq	PT_RDI(%rsp), %rdi
	movq	PT_RSI(%rsp), %rsi
	movq	PT_RDX(%rsp), %rdx
	movq	PT_RCX(%rsp), %rcx
	movq	PT_R8(%rsp), %r8
	movq	PT_R9(%rsp), %r9
	movq	PT_R10(%rsp), %r10
	movq	PT_RBP(%rsp), %rbp
	.cfi_restore %rbp
.endm

.macro SAVE_REST
	movq	%r15, PT_R15(%rsp)
	movq	%r14, PT_R14(%rsp)
	movq	%r13, PT_R13(%rsp)
	movq	%r12, PT_R12(%rsp)
	movq	%rbx, PT_RBX(%rsp)
	.cfi_rel_offset %rbx, PT_RBX
	.cfi_rel_offset %r12, PT_R12
	.cfi_rel_offset %r13, PT_R13
	.cfi_rel_offset %r14, PT_R14
	.cfi_rel_offset %r15, PT_R15
	movq	FRAME_R11(%rsp), %rax		/* %r11 as the caller left it */
	movq	%rax, PT_R11(%rsp)
	movq	$-1, PT_ORIG_RAX(%rsp)		/* no system call */
	movq	FRAME_FLAGS(%rsp), %rax
	movq	%rax, PT_EFLAGS(%rsp)
	movq	$USER_CS, PT_CS(%rsp)		/* what every 64-bit thread has */
	movq	$USER_DS, PT_SS(%rsp)
.endm

.macro RESTORE_REST
	movq	PT_R15(%rsp), %r15
	movq	PT_R14(%rsp), %r14
	movq	PT_R13(%rsp), %r13
	movq	PT_R12(%rsp), %r12
	movq	PT_RBX(%rsp), %rbx
	.cfi_restore %rbx
	.cfi_restore %r12
	.cfi_restore %r13
	.cfi_restore %r14
	.cfi_restore %r15
.endm

/*
 * Vector registers in their widest form by plain moves (XSAVE costs a hundred times this), below an
 * aligned %rsp; %rbp is the frame. ftrace_vector_kind says which; it may change while a callback
 * runs, so what was saved is noted beside it. Changes %rax, flags, and the first two registers.
 */
#define VECTORS_XMM	0			/* xmm0-15 */
#define VECTORS_YMM	1			/* ymm0-15 */
#define VECTORS_ZMM	2			/* zmm0-15 */
#define VECTORS_ALL	3			/* zmm0-31, k0-7 */

#define TERNARY_OR	0xfe			/* of vpternlog: a | b | c */

#define VEC_KIND	(16 * 64)		/* behind the first 16 */
#define VEC_SIZE	(17 * 64)
#define VEC_UPPER	VEC_SIZE		/* zmm16-31, where they are saved */
#define VEC_MASKS	(33 * 64)		/* and k0-7 */
#define VEC_SIZE_ALL	(34 * 64)

.macro SAVE_VECTORS
	movl	ftrace_vector_kind(%rip), %eax
	subq	$VEC_SIZE, %rsp
	cmpl	$VECTORS_ZMM, %eax
	jbe	70f
	subq	$(VEC_SIZE_ALL - VEC_SIZE), %rsp
70:	andq	$-64, %rsp
	movl	%eax, VEC_KIND(%rsp)
	movq	%rsp, FRAME_VEC(%rbp)
	cmpl	$VECTORS_YMM, %eax
	jb	71f
	je	72f
	cmpl	$VECTORS_ZMM, %eax
	je	74f
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovups	%zmm\n, (\n * 64)(%rsp)
	.endr
	.irp	n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	vmovups	%zmm\n, (VEC_UPPER + (\n - 16) * 64)(%rsp)
	.endr
	.irp	n, 0,1,2,3,4,5,6,7
	kmovq	%k\n, (VEC_MASKS + \n * 8)(%rsp)
	.endr
	jmp	73f
72:	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovups	%ymm\n, (\n * 64)(%rsp)
	.endr
	jmp	73f

	/*
	 * Most have nothing in the upper halves, of all of which this is the union, and a load of
	 * a lower half clears the upper: then half the width is stored, in a third of the time.
	 */
74:	vmovups	%zmm0, (0 * 64)(%rsp)
	vmovups	%zmm1, (1 * 64)(%rsp)
	vpternlogq $TERNARY_OR, %zmm2, %zmm3, %zmm0
	vpternlogq $TERNARY_OR, %zmm4, %zmm5, %zmm1
	vpternlogq $TERNARY_OR, %zmm6, %zmm7, %zmm0
	vpternlogq $TERNARY_OR, %zmm8, %zmm9, %zmm1
	vpternlogq $TERNARY_OR, %zmm10, %zmm11, %zmm0
	vpternlogq $TERNARY_OR, %zmm12, %zmm13, %zmm1
	vpternlogq $TERNARY_OR, %zmm14, %zmm15, %zmm0
	vporq	%zmm1, %zmm0, %zmm0
	vextracti64x4 $1, %zmm0, %ymm0
	vptest	%ymm0, %ymm0
	jnz	75f
	movl	$VECTORS_YMM, VEC_KIND(%rsp)
	.irp	n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovups	%ymm\n, (\n * 64)(%rsp)
	.endr
	jmp	73f
75:	.irp	n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovups	%zmm\n, (\n * 64)(%rsp)
	.endr
	jmp	73f
71:	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	movups	%xmm\n, (\n * 64)(%rsp)
	.endr
73:
.endm

/* The same back, if they were saved. Changes %rcx, %rdx and flags, not %rax. */
.macro RESTORE_VECTORS
	movq	FRAME_VEC(%rbp), %rdx
	testq	%rdx, %rdx
	jz	73f
	movl	VEC_KIND(%rdx), %ecx
	cmpl	$VECTORS_YMM, %ecx
	jb	71f
	je	72f
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovups	(\n * 64)(%rdx), %zmm\n
	.endr
	cmpl	$VECTORS_ZMM, %ecx
	je	73f
	.irp	n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	vmovups	(VEC_UPPER + (\n - 16) * 64)(%rdx), %zmm\n
	.endr
	.irp	n, 0,1,2,3,4,5,6,7
	kmovq	(VEC_MASKS + \n * 8)(%rdx), %k\n
	.endr
	jmp	73f
72:	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovups	(\n * 64)(%rdx), %ymm\n
	.endr
	jmp	73f
71:	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	movups	(\n * 64)(%rdx), %xmm\n
	.endr
73:
.endm

/* The frame, with the flags as they are. pushfq and lea change none. */
.macro FRAME_ENTER
	pushfq
	.cfi_adjust_cfa_offset 8
	leaq	-(PT_sizeof + 8)(%rsp), %rsp
	.cfi_adjust_cfa_offset (PT_sizeof + 8)
.endm

.macro FRAME_LEAVE			/* back to the handler's return address, no flag changed */
	leaq	FRAME_STUB(%rsp), %rsp
	.cfi_adjust_cfa_offset -FRAME_STUB
.endm

/*
 * Flags from pt_regs. Everything below %rsp is free. popfq is the most expensive instruction of a
 * callback with every register (a third of its time), and all it mostly does is arithmetic flags.
 */
.macro RESTORE_FLAGS
	pushq	PT_EFLAGS(%rsp)
	.cfi_adjust_cfa_offset 8
	popfq
	.cfi_adjust_cfa_offset -8
.endm

/*
 * The last registers and the flags, then back to the stub, with the carry flag as \carry says
 * whatever pt_regs has. Flags that an addition and sahf can set are set by these; where others than usual
 * are wanted (direction, trap, alignment check), or sahf is not to be had, ftrace_popf_flags says so.
 */
#define FLAGS_USUAL	0x200			/* interrupts, which user space cannot turn off */

.macro RETURN_TO_STUB carry
	movl	PT_EFLAGS(%rsp), %eax
	movl	%eax, %ecx
	movl	%eax, %edx
	xorl	$FLAGS_USUAL, %ecx
	testl	ftrace_popf_flags(%rip), %ecx
	jnz	79f
	shrl	$11, %edx			/* the overflow flag alone is left in it */
	movb	%al, %ah
	addb	$0x7f, %dl			/* overflows if that was set */
	sahf					/* sign, zero, adjust, parity, carry */
	RESTORE_ARGS
	.cfi_remember_state
	FRAME_LEAVE
	\carry
	ret
	.cfi_restore_state
	.cfi_rel_offset %rbp, PT_RBP
79:	RESTORE_ARGS
	RESTORE_FLAGS
	FRAME_LEAVE
	\carry
	ret
.endm

.macro ON_RBP				/* from here to OFF_RBP %rbp is the frame, %rsp aligned */
	movq	%rsp, %rbp
	.cfi_remember_state
	.cfi_def_cfa_register %rbp
.endm

.macro OFF_RBP
	movq	%rbp, %rsp
	.cfi_restore_state
.endm

#endif /* FTRACE_ARCH_ENTRY_REGS_H */
