/* SPDX-License-Identifier: MIT */
/* i386 trampolines that call callbacks. See entry-macros-32.h for the stack they find. */
#include "entry-regs-32.h"

	.text

/* The address behind a call of this. */
FUNC ftrace_pc_ebx
	.cfi_def_cfa_offset 4
	.cfi_offset %eip, -4
	movl	(%esp), %ebx
	ret
ENDFUNC ftrace_pc_ebx

/* Nobody is told of this call. */
FUNC ftrace_stub_pass
	clc
	ret	$4
ENDFUNC ftrace_stub_pass

/*
 * Call the callback of ops %edi with site %esi and FRAME_PARENT: see ftrace_call_t. Everything but
 * %ebx, %esi, %edi changes.
 */
.macro CALL_OPS
	ON_EBP
	movl	$0, FRAME_VEC(%ebp)
	movl	$0, FRAME_X87(%ebp)
	testl	$OPS_GENERAL_REGS, OPS_FLAGS(%edi)
	jnz	79f
	SAVE_VECTORS
79:	andl	$-16, %esp
	subl	$12, %esp
	leal	REGS(%ebp), %eax
	pushl	%esi
	pushl	%eax
	pushl	%edi
	pushl	FRAME_PARENT(%ebp)
	pushl	SITE_IP(%esi)
	call	*OPS_CALL(%edi)
	RESTORE_VECTORS
	OFF_EBP
.endm

/* FRAME_PARENT: the return address, or, if that is a stub's, who is behind it. */
.macro FIND_PARENT
	movl	FRAME_TOP(%esp), %eax
	leal	-ARCH_STUB_RET(%eax), %edx
	testb	$63, %dl
	jnz	77f
	ON_EBP
	leal	FRAME_TOP(%ebp), %edx
	CALL_C	ftrace_real_parent, %eax, %edx
	OFF_EBP
77:	movl	%eax, FRAME_PARENT(%esp)
.endm

/* %eax = where site %esi's function goes on. */
.macro BODY
	movzbl	SITE_BODY_DELTA(%esi), %eax
	addl	SITE_IP(%esi), %eax
.endm

/*
 * The function tracer with the minimum of registers: one callback, dyn_ftrace.ops (a list of several
 * is an ops of its own).
 */
FUNC ftrace_caller
	leal	-ENTRY_FRAME(%esp), %esp
	.cfi_adjust_cfa_offset ENTRY_FRAME
	SAVE_GENERAL
	pushfl					/* gcc copies structures by rep movs */
	.cfi_adjust_cfa_offset 4
	popl	FRAME_FLAGS(%esp)
	.cfi_adjust_cfa_offset -4
	cld
	movl	(FRAME_TOP - 8)(%esp), %esi	/* %esi = the site, over the calls */
	addl	$SITE_FROM_ENTRY_RET, %esi
	GOT
	cmpl	$0, ftrace_silent_local@GOTOFF(%ebx)
	jne	8f
	SELF	%ecx, 7f
1:	CALLBACK_BEGIN 4f
2:	movl	SITE_OPS(%esi), %edi		/* %edi = the ops */
	testl	%edi, %edi
	jz	6f
	testl	$OPS_SAVE_REGS, OPS_FLAGS(%edi)	/* new here, and wants more than we have saved: */
	jnz	10f				/* from the next call on */
11:	BODY
	movl	%eax, (REGS + PT_EIP)(%esp)
	FIND_PARENT
	CALL_OPS
6:	CALLBACK_END
8:	testl	$FLAGS_DF, FRAME_FLAGS(%esp)
	jz	9f
	std
9:	RESTORE_GENERAL
	leal	ENTRY_FRAME(%esp), %esp
	.cfi_remember_state
	.cfi_adjust_cfa_offset -ENTRY_FRAME
	clc
	ret	$4
	.cfi_restore_state
	.cfi_rel_offset %ebx, REGS + PT_EBX
	.cfi_rel_offset %esi, REGS + PT_ESI
	.cfi_rel_offset %edi, REGS + PT_EDI
	.cfi_rel_offset %ebp, REGS + PT_EBP

4:	CALLBACK_NESTED
	jmp	2b

	/* Those of the site's ops that were here before, and want no more, are told of this call, too. */
10:	leal	ftrace_list_ops@GOTOFF(%ebx), %edi
	jmp	11b

7:	ON_EBP					/* this thread's first traced call */
	andl	$-16, %esp
	call	ftrace_thread_get
	OFF_EBP
	movl	%eax, %ecx
	testl	%eax, %eax
	jnz	1b
	jmp	8b
ENDFUNC ftrace_caller

/*
 * A function that is replaced, and that nobody else has: see entry.S. There is no red zone here to take an
 * address to the stub, so the way elsewhere is a return past it, which is predicted wrong.
 */
FUNC ftrace_replace_caller
	leal	-ENTRY_FRAME(%esp), %esp
	.cfi_adjust_cfa_offset ENTRY_FRAME
	movl	%eax, (REGS + PT_EAX)(%esp)
	movl	%ecx, (REGS + PT_ECX)(%esp)
	movl	%edx, (REGS + PT_EDX)(%esp)
	movl	%ebx, (REGS + PT_EBX)(%esp)
	.cfi_rel_offset %ebx, REGS + PT_EBX
	GOT
	SELF	%ecx, 4f
	movl	(FRAME_TOP - 8)(%esp), %edx
	CALLBACK_BEGIN 4f
	movl	(SITE_FROM_ENTRY_RET + SITE_OPS)(%edx), %edx
	testl	%edx, %edx			/* %edx = the ops, or it is gone, */
	jz	3f
	testl	$OPS_REPLACE, OPS_FLAGS(%edx)	/* or others have come */
	jz	3f
	movl	OPS_TARGET(%edx), %eax		/* for everybody? */
	testl	%eax, %eax
	jnz	1f
	movl	KLP_GONE(%edx), %eax		/* the transition, if there are some who have gone over */
	testl	%eax, %eax
	jz	3f
	cmpl	T_KLP_GONE(%ecx), %eax		/* has this thread? */
	jne	5f
6:	andl	$1, %eax			/* in this direction: */
	movl	KLP_GONE_TO(%edx, %eax, 4), %eax
1:	movl	$0, T_CALLBACK(%ecx)
2:	testl	%eax, %eax			/* %eax = where to, 0: the body */
	jz	7f
	movl	%eax, (FRAME_TOP - 4)(%esp)
	.cfi_remember_state
	movl	(REGS + PT_EAX)(%esp), %eax
	movl	(REGS + PT_ECX)(%esp), %ecx
	movl	(REGS + PT_EDX)(%esp), %edx
	movl	(REGS + PT_EBX)(%esp), %ebx
	.cfi_restore %ebx
	leal	(FRAME_TOP - 4)(%esp), %esp
	.cfi_def_cfa %esp, 8			/* the caller's frame, as at a function's entry */
	.cfi_offset %eip, -4
	ret
	.cfi_restore_state

7:	.cfi_remember_state
	movl	(REGS + PT_EAX)(%esp), %eax
	movl	(REGS + PT_ECX)(%esp), %ecx
	movl	(REGS + PT_EDX)(%esp), %edx
	movl	(REGS + PT_EBX)(%esp), %ebx
	.cfi_restore %ebx
	leal	ENTRY_FRAME(%esp), %esp
	.cfi_adjust_cfa_offset -ENTRY_FRAME
	clc
	ret	$4
	.cfi_restore_state

5:	movl	klp_epoch@GOTOFF(%ebx), %eax	/* has it not, and nothing happened since it looked? */
	cmpl	T_KLP_STAYS(%ecx), %eax
	je	6b

3:	movl	$0, T_CALLBACK(%ecx)		/* it will be set again */
4:	movl	%esi, (REGS + PT_ESI)(%esp)
	movl	%edi, (REGS + PT_EDI)(%esp)
	movl	%ebp, (REGS + PT_EBP)(%esp)
	.cfi_rel_offset %esi, REGS + PT_ESI
	.cfi_rel_offset %edi, REGS + PT_EDI
	.cfi_rel_offset %ebp, REGS + PT_EBP
	movl	(FRAME_TOP - 8)(%esp), %esi
	addl	$SITE_FROM_ENTRY_RET, %esi	/* the site */
	ON_EBP
	movl	$0, FRAME_VEC(%ebp)
	movl	$0, FRAME_X87(%ebp)
	leal	REGS(%ebp), %eax
	CALL_C	ftrace_replace_func, %eax, %esi
	OFF_EBP
	movl	(REGS + PT_ESI)(%esp), %esi
	movl	(REGS + PT_EDI)(%esp), %edi
	movl	(REGS + PT_EBP)(%esp), %ebp
	.cfi_restore %esi
	.cfi_restore %edi
	.cfi_restore %ebp
	jmp	2b
ENDFUNC ftrace_replace_caller

/*
 * The function tracer with every register: as ftrace_caller, and the callback may change them all,
 * ip included. The stack pointer is where pt_regs is, and cannot be changed.
 */
FUNC ftrace_regs_caller
	ENTER_REGS
	BODY
	movl	%eax, (REGS + PT_EIP)(%esp)
	cmpl	$0, ftrace_silent_local@GOTOFF(%ebx)
	jne	10f
11:	SELF	%ecx, 7f
1:	CALLBACK_BEGIN 4f
2:	movl	SITE_OPS(%esi), %edi
	testl	%edi, %edi
	jz	6f
	FIND_PARENT
	CALL_OPS
6:	CALLBACK_END
8:	BODY
	cmpl	%eax, (REGS + PT_EIP)(%esp)
	jne	9f
	/* A carry that is to be set is none of the stub's business. */
	testl	$1, (REGS + PT_EFLAGS)(%esp)
	jnz	9f
	GO_ON
9:	GO_ELSEWHERE

4:	CALLBACK_NESTED
	jmp	2b

7:	ON_EBP
	andl	$-16, %esp
	call	ftrace_thread_get
	OFF_EBP
	movl	%eax, %ecx
	testl	%eax, %eax
	jnz	1b
	jmp	8b

10:	testl	$SITE_LOUD, SITE_FLAGS(%esi)
	jnz	11b
	jmp	8b
ENDFUNC ftrace_regs_caller

/*
 * A site's business in C, with every register: graph ops with callbacks, alone or beside function
 * ops, and any mixture while a site is changed. See FTRACE_GO_* in arch.h.
 */
FUNC ftrace_graph_caller
	ENTER_REGS
	BODY
	movl	%eax, (REGS + PT_EIP)(%esp)
	ON_EBP
	movl	$0, FRAME_VEC(%ebp)
	movl	$0, FRAME_X87(%ebp)
	testl	$SITE_GENERAL, SITE_FLAGS(%esi)
	jnz	1f
	SAVE_VECTORS
1:	leal	REGS(%ebp), %eax
	CALL_C	ftrace_regs_func, %eax, %esi
	RESTORE_VECTORS
	OFF_EBP
	cmpl	$1, %eax
	je	2f				/* hooked */
	ja	3f				/* elsewhere */
	testl	$1, (REGS + PT_EFLAGS)(%esp)
	jnz	3f
	GO_ON

	/* Hooked: see ftrace_graph_caller in entry.S. */
2:	cmpl	$0, SITE_OPS(%esi)
	je	4f
	testl	$1, (REGS + PT_EFLAGS)(%esp)
	jnz	4f
	movl	FRAME_STUB(%esp), %eax
	addl	$(ARCH_STUB_HOOKED - ARCH_STUB_ENTRY_RET), %eax
	movl	%eax, (REGS + PT_EIP)(%esp)
	GO_ELSEWHERE

4:	GO_ON stc

3:	GO_ELSEWHERE
ENDFUNC ftrace_graph_caller

/* The return of a call that ftrace_graph_caller hooked. */
FUNC ftrace_graph_return
	pushfl
	.cfi_adjust_cfa_offset 4
	leal	-(RETURN_FRAME - 4)(%esp), %esp
	.cfi_adjust_cfa_offset (RETURN_FRAME - 4)
	SAVE_GENERAL
	SAVE_REST (FRAME_TOP - 16), (FRAME_TOP - 12)
	cld
	addl	$SITE_FROM_EXIT_RET, %esi
	GOT
	ON_EBP
	movl	$0, FRAME_VEC(%ebp)
	movl	$0, FRAME_X87(%ebp)
	testl	$SITE_GENERAL, SITE_FLAGS(%esi)
	jnz	1f
	SAVE_VECTORS
1:	leal	REGS(%ebp), %eax
	CALL_C	ftrace_graph_return_func, %eax, %esi
	RESTORE_VECTORS
	OFF_EBP
	movl	(REGS + PT_EFLAGS)(%esp), %ecx
	movl	FRAME_STUB(%esp), %edx
	movl	%eax, (FRAME_TOP - 4)(%esp)	/* the return address, where the stub's ret takes it */
	movl	%ecx, (FRAME_TOP - 16)(%esp)
	movl	%edx, (FRAME_TOP - 12)(%esp)
	.cfi_rel_offset %eip, FRAME_TOP - 12
	RESTORE_GENERAL
	leal	(FRAME_TOP - 16)(%esp), %esp
	.cfi_adjust_cfa_offset -(FRAME_TOP - 16)
	popfl
	.cfi_adjust_cfa_offset -4
	ret	$4
ENDFUNC ftrace_graph_return

	.section .note.GNU-stack, "", @progbits
