/* SPDX-License-Identifier: MIT */
/*
 * x86_64: what detours call (arch-site.h). The stack is as at a stub, with the red zone of the probed
 * function above: slot + 128 is its stack pointer.
 */
#include "entry-regs.h"

	.text

#define RED_ZONE	128

/* Nobody is to be called. */
FUNC ftrace_probe_pass
	ret
ENDFUNC ftrace_probe_pass

.macro PROBE_CALLER name, vectors
FUNC \name
	FRAME_ENTER
	SAVE_ARGS
	SAVE_REST
	cld
	leaq	(FRAME_SLOT + RED_ZONE)(%rsp), %rax
	movq	%rax, PT_RSP(%rsp)
	ON_RBP
	movq	$0, FRAME_VEC(%rbp)
	.ifnb	\vectors
	SAVE_VECTORS
	.endif
	andq	$-16, %rsp
	movq	%rbp, %rdi
	leaq	FRAME_STUB(%rbp), %rsi
	call	ftrace_probe_hit
	.ifnb	\vectors
	RESTORE_VECTORS
	.endif
	OFF_RBP
	testl	%eax, %eax
	jnz	ftrace_probe_elsewhere
	RESTORE_REST
	movq	PT_R11(%rsp), %rax
	movq	%rax, FRAME_R11(%rsp)		/* for the detour's pop */
	RETURN_TO_STUB
ENDFUNC \name
.endm

	PROBE_CALLER ftrace_probe_caller, vectors
	PROBE_CALLER ftrace_probe_caller_general,

/*
 * To pt_regs' ip with its sp, whose red zone may be in use: the ip goes below that, and is returned to. Where
 * sp was lowered the frame is moved out of the way first.
 */
FUNC ftrace_probe_elsewhere
	.cfi_def_cfa_offset FRAME_STUB + 8
	movq	PT_RSP(%rsp), %rdx
	subq	$(RED_ZONE + 8), %rdx		/* where the ip goes */
	leaq	PT_sizeof(%rsp), %rax
	cmpq	%rax, %rdx
	jae	1f
	movq	%rsp, %rsi
	leaq	-PT_sizeof(%rdx), %rdi
	movq	%rdi, %rsp
	movl	$(PT_sizeof / 8), %ecx
	rep movsq
1:	movq	PT_RIP(%rsp), %rax
	movq	%rax, (%rdx)
	movq	%rdx, PT_RSP(%rsp)
	RESTORE_REST
	movq	PT_R11(%rsp), %r11
	RESTORE_ARGS
	RESTORE_FLAGS
	movq	PT_RSP(%rsp), %rsp
	ret	$RED_ZONE
ENDFUNC ftrace_probe_elsewhere

	.section .note.GNU-stack, "", @progbits
