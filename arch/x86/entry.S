/* SPDX-License-Identifier: MIT */
/* x86_64 trampolines that call callbacks. See entry-macros.h for the stack they find. */
#include "entry-macros.h"

	.text

/* Nobody is told of this call. */
FUNC ftrace_stub_pass
	clc
	ret
ENDFUNC ftrace_stub_pass

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
 * runs, so what was saved is noted beside it. Changes %rax and flags.
 */
#define VECTORS_XMM	0			/* xmm0-15 */
#define VECTORS_YMM	1			/* ymm0-15 */
#define VECTORS_ZMM	2			/* zmm0-15 */
#define VECTORS_ALL	3			/* zmm0-31, k0-7 */

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
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovups	%zmm\n, (\n * 64)(%rsp)
	.endr
	cmpl	$VECTORS_ZMM, %eax
	je	73f
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

/*
 * The function tracer with the minimum of registers: one callback, dyn_ftrace.ops (a list of several
 * is an ops of its own). The frame's FRAME_FLAGS word, not needed for flags here, is the thread where
 * the callback is to be marked as done, 0 where it is inside another.
 */
#define FRAME_THREAD	FRAME_FLAGS

FUNC ftrace_caller
	leaq	-FRAME_STUB(%rsp), %rsp
	.cfi_adjust_cfa_offset FRAME_STUB
	SAVE_ARGS
	cmpl	$0, ftrace_silent_local(%rip)
	jne	8f
	SELF	7f
1:	movq	FRAME_STUB(%rsp), %r8		/* %r8 = the site */
	addq	$SITE_FROM_ENTRY_RET, %r8
	movq	%rcx, FRAME_THREAD(%rsp)
	CALLBACK_BEGIN 4f
2:	movq	SITE_OPS(%r8), %rdx
	testq	%rdx, %rdx
	jz	6f
	movq	OPS_FLAGS(%rdx), %rax
	testl	$OPS_SAVE_REGS, %eax		/* new here, and wants more than we have saved: */
	jnz	10f				/* from the next call on */
11:	movq	SITE_IP(%r8), %rdi
	leaq	FRAME_SLOT(%rsp), %r9
	movq	%r9, PT_RSP(%rsp)
	leaq	ARCH_SITE_SIZE(%rdi), %r10
	movq	%r10, PT_RIP(%rsp)
	movq	(%r9), %rsi			/* the parent */
	leal	-ARCH_STUB_RET(%rsi), %r9d
	testb	$63, %r9b
	jz	5f				/* a stub, perhaps: who is behind it? */
3:	ON_RBP
	movq	$0, FRAME_VEC(%rbp)
	testl	$OPS_GENERAL_REGS, %eax
	jnz	9f
	SAVE_VECTORS
9:	andq	$-16, %rsp
	movq	%rbp, %rcx
	call	*OPS_CALL(%rdx)
	RESTORE_VECTORS
	OFF_RBP
6:	movq	FRAME_THREAD(%rsp), %rcx
	testq	%rcx, %rcx
	jz	8f
	movq	$0, T_CALLBACK(%rcx)
8:	RESTORE_ARGS
	leaq	FRAME_STUB(%rsp), %rsp
	.cfi_remember_state
	.cfi_adjust_cfa_offset -FRAME_STUB
	clc
	ret
	.cfi_restore_state
	.cfi_rel_offset %rbp, PT_RBP

4:	CALLBACK_NESTED
	movq	FRAME_STUB(%rsp), %r8
	addq	$SITE_FROM_ENTRY_RET, %r8
	testl	%eax, %eax
	jnz	2b
	movq	$0, FRAME_THREAD(%rsp)
	jmp	2b

5:	ON_RBP
	andq	$-16, %rsp
	movq	%rsi, %rdi
	leaq	FRAME_SLOT(%rbp), %rsi
	call	ftrace_real_parent
	OFF_RBP
	movq	%rax, %rsi
	movq	FRAME_STUB(%rsp), %r8
	addq	$SITE_FROM_ENTRY_RET, %r8
	movq	SITE_OPS(%r8), %rdx
	testq	%rdx, %rdx
	jz	6b
	movq	OPS_FLAGS(%rdx), %rax
	testl	$OPS_SAVE_REGS, %eax
	jnz	12f
13:	movq	SITE_IP(%r8), %rdi
	jmp	3b

	/* Those of the site's ops that were here before, and want no more, are told of this call, too. */
10:	leaq	ftrace_list_ops(%rip), %rdx
	xorl	%eax, %eax			/* its flags */
	jmp	11b
12:	leaq	ftrace_list_ops(%rip), %rdx
	xorl	%eax, %eax
	jmp	13b

7:	ON_RBP					/* this thread's first traced call */
	andq	$-16, %rsp
	call	ftrace_thread_get
	OFF_RBP
	movq	%rax, %rcx
	testq	%rax, %rax
	jnz	1b
	jmp	8b
ENDFUNC ftrace_caller

/*
 * The ends of the trampolines that saved every register. On into the function, not hooked: a
 * return with the carry clear says so to the stub. A carry that is to be set can only be had by a
 * jump past the stub, \elsewhere.
 */
.macro GO_ON elsewhere
	testl	$1, PT_EFLAGS(%rsp)
	jnz	\elsewhere
	.cfi_remember_state
	RESTORE_REST
	movq	PT_R11(%rsp), %rax
	movq	%rax, FRAME_R11(%rsp)		/* for the stub's pop */
	RETURN_TO_STUB
	.cfi_restore_state
.endm

/*
 * To pt_regs' ip with its sp: the ip goes below that stack pointer and is returned to. It lies at
 * slot - 8 or above, so it overwrites nothing of the frame that is still needed.
 */
.macro GO_ELSEWHERE
	.cfi_remember_state
	movq	PT_RSP(%rsp), %rdx
	movq	PT_RIP(%rsp), %rax
	subq	$8, %rdx
	movq	%rax, (%rdx)
	movq	%rdx, PT_RSP(%rsp)
	RESTORE_REST
	movq	PT_R11(%rsp), %r11
	RESTORE_ARGS
	RESTORE_FLAGS
	movq	PT_RSP(%rsp), %rsp
	.cfi_def_cfa %rsp, 16			/* the caller's frame, as at a function's entry */
	ret
	.cfi_restore_state
.endm

/*
 * The function tracer with every register: as ftrace_caller, and the callback may change them all,
 * ip included.
 */
FUNC ftrace_regs_caller
	FRAME_ENTER
	SAVE_ARGS
	SAVE_REST
	cld
	movq	FRAME_STUB(%rsp), %rbx		/* %rbx = the site, over the calls */
	addq	$SITE_FROM_ENTRY_RET, %rbx
	movq	SITE_IP(%rbx), %rdi
	leaq	FRAME_SLOT(%rsp), %r8
	movq	%r8, PT_RSP(%rsp)
	movzbl	SITE_BODY_DELTA(%rbx), %eax
	testl	%eax, %eax
	jz	12f				/* its instructions were moved */
	addq	%rdi, %rax
13:	movq	%rax, PT_RIP(%rsp)
	movq	%rax, %r13			/* %r13 = the body, over the call */
	xorl	%r12d, %r12d			/* %r12 = the thread to be marked, 0: none */
	cmpl	$0, ftrace_silent_local(%rip)
	jne	14f
15:	SELF	7f
1:	movq	%rcx, %r12
	CALLBACK_BEGIN 4f
2:	movq	SITE_OPS(%rbx), %rdx
	testq	%rdx, %rdx
	jz	6f
	movq	(%r8), %rsi			/* the parent */
	leal	-ARCH_STUB_RET(%rsi), %r9d
	testb	$63, %r9b
	jz	5f
3:	ON_RBP
	movq	$0, FRAME_VEC(%rbp)
	testl	$OPS_GENERAL_REGS, OPS_FLAGS(%rdx)
	jnz	9f
	SAVE_VECTORS
9:	andq	$-16, %rsp
	movq	%rbp, %rcx
	movq	%rbx, %r8			/* for the list; see ftrace_call_t */
	call	*OPS_CALL(%rdx)
	RESTORE_VECTORS
	OFF_RBP
6:	testq	%r12, %r12
	jz	8f
	movq	$0, T_CALLBACK(%r12)
8:	leaq	FRAME_SLOT(%rsp), %r8
	cmpq	%r13, PT_RIP(%rsp)
	jne	10f
	cmpq	%r8, PT_RSP(%rsp)
	jne	10f
	GO_ON	11f

10:	cmpq	%r8, PT_RSP(%rsp)		/* below it stands our own frame: sp can be raised, */
	jae	11f				/* not lowered */
	movq	%r8, PT_RSP(%rsp)
11:	GO_ELSEWHERE

4:	CALLBACK_NESTED
	movq	SITE_IP(%rbx), %rdi
	leaq	FRAME_SLOT(%rsp), %r8
	testl	%eax, %eax
	jnz	2b
	xorl	%r12d, %r12d
	jmp	2b

5:	ON_RBP
	andq	$-16, %rsp
	movq	%rsi, %rdi
	movq	%r8, %rsi
	call	ftrace_real_parent
	OFF_RBP
	movq	%rax, %rsi
	movq	SITE_OPS(%rbx), %rdx
	testq	%rdx, %rdx
	jz	6b
	movq	SITE_IP(%rbx), %rdi
	jmp	3b

7:	ON_RBP
	andq	$-16, %rsp
	call	ftrace_thread_get
	OFF_RBP
	movq	SITE_IP(%rbx), %rdi
	leaq	FRAME_SLOT(%rsp), %r8
	movq	%rax, %rcx
	testq	%rax, %rax
	jnz	1b
	jmp	8b

	/* The body is where the stub's last instruction jumps. */
12:	movq	FRAME_STUB(%rsp), %rcx
	movslq	(ARCH_STUB_BODY + 1 - ARCH_STUB_ENTRY_RET)(%rcx), %rax
	leaq	(ARCH_STUB_BODY + 5 - ARCH_STUB_ENTRY_RET)(%rcx, %rax), %rax
	jmp	13b

14:	testl	$SITE_LOUD, SITE_FLAGS(%rbx)
	jnz	15b
	jmp	8b
ENDFUNC ftrace_regs_caller

/*
 * A site's business in C, with every register: graph ops with callbacks, alone or beside function
 * ops, and any mixture while a site is changed. See FTRACE_GO_* in arch.h.
 */
FUNC ftrace_graph_caller
	FRAME_ENTER
	SAVE_ARGS
	SAVE_REST
	cld
	leaq	FRAME_SLOT(%rsp), %rax
	movq	%rax, PT_RSP(%rsp)
	movq	FRAME_STUB(%rsp), %rbx		/* %rbx = the site, over the call */
	addq	$SITE_FROM_ENTRY_RET, %rbx
	ON_RBP
	movq	$0, FRAME_VEC(%rbp)
	testl	$SITE_GENERAL, SITE_FLAGS(%rbx)
	jnz	1f
	SAVE_VECTORS
1:	andq	$-16, %rsp
	movq	%rbp, %rdi
	movq	%rbx, %rsi
	call	ftrace_regs_func
	RESTORE_VECTORS
	OFF_RBP
	cmpl	$1, %eax
	je	2f				/* hooked */
	ja	3f				/* elsewhere */
	GO_ON	3f

	/*
	 * Hooked: the stub wants the carry set. Where somebody was shown flags (function ops beside
	 * the graph) and the carry is to be clear, only a jump behind the stub's branch can have
	 * both; a graph alone takes the dead flag for itself and keeps the return predicted.
	 */
2:	cmpq	$0, SITE_OPS(%rbx)
	je	4f
	testl	$1, PT_EFLAGS(%rsp)
	jnz	4f
	movq	FRAME_STUB(%rsp), %rax
	addq	$(ARCH_STUB_HOOKED - ARCH_STUB_ENTRY_RET), %rax
	movq	%rax, PT_RIP(%rsp)
	GO_ELSEWHERE

4:	.cfi_remember_state
	RESTORE_REST
	movq	PT_R11(%rsp), %rax
	movq	%rax, FRAME_R11(%rsp)
	RETURN_TO_STUB stc
	.cfi_restore_state

3:	GO_ELSEWHERE
ENDFUNC ftrace_graph_caller

/* The return of a call that ftrace_graph_caller hooked. */
FUNC ftrace_graph_return
	FRAME_ENTER
	SAVE_ARGS
	SAVE_REST
	cld
	leaq	(FRAME_SLOT + 8)(%rsp), %rax	/* sp as it will be behind the return */
	movq	%rax, PT_RSP(%rsp)
	movq	FRAME_STUB(%rsp), %rbx
	addq	$SITE_FROM_EXIT_RET, %rbx
	ON_RBP
	movq	$0, FRAME_VEC(%rbp)
	testl	$SITE_GENERAL, SITE_FLAGS(%rbx)
	jnz	1f
	SAVE_VECTORS
1:	andq	$-16, %rsp
	movq	%rbp, %rdi
	movq	%rbx, %rsi
	call	ftrace_graph_return_func
	RESTORE_VECTORS
	OFF_RBP
	movq	%rax, FRAME_SLOT(%rsp)		/* the return address, back in its slot */
	RESTORE_REST
	movq	PT_R11(%rsp), %rax
	movq	%rax, FRAME_R11(%rsp)
	RETURN_TO_STUB
ENDFUNC ftrace_graph_return

	.section .note.GNU-stack, "", @progbits
