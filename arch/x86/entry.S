/* SPDX-License-Identifier: MIT */
/* x86_64 trampolines that call callbacks. See entry-macros.h for the stack they find. */
#include "entry-regs.h"

	.text

/* Nobody is told of this call. */
FUNC ftrace_stub_pass
	SAY_BODY
	ret
ENDFUNC ftrace_stub_pass

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
	jz	9f
	andq	$-16, %rsp
	movq	%rbp, %rcx
	call	*OPS_CALL(%rdx)
	OFF_RBP
6:	movq	FRAME_THREAD(%rsp), %rcx
	testq	%rcx, %rcx
	jz	8f
	movq	$0, T_CALLBACK(%rcx)
8:	RESTORE_ARGS
	leaq	FRAME_STUB(%rsp), %rsp
	.cfi_remember_state
	.cfi_adjust_cfa_offset -FRAME_STUB
	SAY_BODY
	ret
	.cfi_restore_state
	.cfi_rel_offset %rbp, PT_RBP

	.cfi_remember_state
	.cfi_def_cfa_register %rbp
9:	SAVE_VECTORS
	andq	$-16, %rsp
	movq	%rbp, %rcx
	call	*OPS_CALL(%rdx)
	RESTORE_VECTORS
	OFF_RBP
	jmp	6b

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
 * A function that is replaced, and that nobody else has (FTRACE_OPS_FL_REPLACE). Where it goes on is found
 * here, in three registers, if it is the same for everybody, or it is known whether the thread has gone over
 * to the version a transition leads to (livepatch-transition.c); else ftrace_replace_func() is asked,
 * which may unwind the stack from pt_regs and is given the registers for that. No flag or vector register
 * is anybody's business here.
 */
FUNC ftrace_replace_caller
	leaq	-FRAME_STUB(%rsp), %rsp
	.cfi_adjust_cfa_offset FRAME_STUB
	movq	%rax, PT_RAX(%rsp)
	movq	%rcx, PT_RCX(%rsp)
	movq	%rdx, PT_RDX(%rsp)
	SELF	4f
	movq	FRAME_STUB(%rsp), %rdx
	CALLBACK_BEGIN 4f
	movq	(SITE_FROM_ENTRY_RET + SITE_OPS)(%rdx), %rdx
	testq	%rdx, %rdx			/* %rdx = the ops, or it is gone, */
	jz	3f
	testl	$OPS_REPLACE, OPS_FLAGS(%rdx)	/* or others have come */
	jz	3f
	movq	OPS_TARGET(%rdx), %rax		/* for everybody? */
	testq	%rax, %rax
	jnz	1f
	movq	KLP_GONE(%rdx), %rax		/* the transition, if there are some who have gone over */
	testq	%rax, %rax
	jz	3f
	cmpq	T_KLP_GONE(%rcx), %rax		/* has this thread? */
	jne	5f
6:	andl	$1, %eax			/* in this direction: */
	movq	KLP_GONE_TO(%rdx, %rax, 8), %rax
1:	movq	$0, T_CALLBACK(%rcx)
2:	movq	%rax, (FRAME_SLOT - ARCH_STUB_TARGET)(%rsp)
	testq	%rax, %rax			/* %rax = where to, 0: the body */
	setnz	%al
	addb	$0x7f, %al			/* overflow: elsewhere; no carry */
	movq	PT_RAX(%rsp), %rax
	movq	PT_RCX(%rsp), %rcx
	movq	PT_RDX(%rsp), %rdx
	.cfi_remember_state
	FRAME_LEAVE
	ret
	.cfi_restore_state

5:	movq	klp_epoch(%rip), %rax		/* has it not, and nothing happened since it looked? */
	cmpq	T_KLP_STAYS(%rcx), %rax
	je	6b

3:	movq	$0, T_CALLBACK(%rcx)		/* it will be set again */
4:	movq	%rdi, PT_RDI(%rsp)
	movq	%rsi, PT_RSI(%rsp)
	movq	%r8, PT_R8(%rsp)
	movq	%r9, PT_R9(%rsp)
	movq	%r10, PT_R10(%rsp)
	movq	%rbp, PT_RBP(%rsp)
	.cfi_rel_offset %rbp, PT_RBP
	movq	%rbx, PT_RBX(%rsp)		/* the callee keeps these five */
	movq	%r12, PT_R12(%rsp)
	movq	%r13, PT_R13(%rsp)
	movq	%r14, PT_R14(%rsp)
	movq	%r15, PT_R15(%rsp)
	movq	FRAME_R11(%rsp), %rax
	movq	%rax, PT_R11(%rsp)
	leaq	FRAME_SLOT(%rsp), %rax
	movq	%rax, PT_RSP(%rsp)
	movq	FRAME_STUB(%rsp), %rsi
	addq	$SITE_FROM_ENTRY_RET, %rsi	/* the site */
	movq	%rsp, %rdi
	ON_RBP
	movq	$0, FRAME_VEC(%rbp)
	andq	$-16, %rsp
	call	ftrace_replace_func
	OFF_RBP
	movq	PT_RDI(%rsp), %rdi
	movq	PT_RSI(%rsp), %rsi
	movq	PT_R8(%rsp), %r8
	movq	PT_R9(%rsp), %r9
	movq	PT_R10(%rsp), %r10
	movq	PT_RBP(%rsp), %rbp
	.cfi_restore %rbp
	jmp	2b
ENDFUNC ftrace_replace_caller

/*
 * The ends of the trampolines that saved every register. On into the function, not hooked: a
 * return with carry and overflow clear says so to the stub. If one of them is to be set, that can only
 * be had by a jump past the stub, \elsewhere.
 */
#define FLAGS_CF	0x1
#define FLAGS_OF	0x800

.macro GO_ON elsewhere
	testl	$(FLAGS_CF | FLAGS_OF), PT_EFLAGS(%rsp)
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
	jz	9f
	andq	$-16, %rsp
	movq	%rbp, %rcx
	movq	%rbx, %r8			/* for the list; see ftrace_call_t */
	call	*OPS_CALL(%rdx)
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

	.cfi_remember_state
	.cfi_def_cfa_register %rbp
9:	SAVE_VECTORS
	andq	$-16, %rsp
	movq	%rbp, %rcx
	movq	%rbx, %r8
	call	*OPS_CALL(%rdx)
	RESTORE_VECTORS
	OFF_RBP
	jmp	6b

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
