/* SPDX-License-Identifier: MIT */
/* i386: what detours call (arch-site.h). The stack is as at a stub, slot being the probed function's. */
#include "entry-regs-32.h"

	.text

/* Nobody is to be called. */
FUNC ftrace_probe_pass
	ret	$4
ENDFUNC ftrace_probe_pass

.macro PROBE_CALLER name, vectors
FUNC \name
	ENTER_REGS
	ON_EBP
	movl	$0, FRAME_VEC(%ebp)
	movl	$0, FRAME_X87(%ebp)
	.ifnb	\vectors
	SAVE_VECTORS
	.endif
	leal	REGS(%ebp), %eax
	leal	FRAME_STUB(%ebp), %edx
	CALL_C	ftrace_probe_hit, %eax, %edx
	.ifnb	\vectors
	RESTORE_VECTORS
	.endif
	OFF_EBP
	testl	%eax, %eax
	jnz	1f
	GO_ON
1:	GO_ELSEWHERE
ENDFUNC \name
.endm

	PROBE_CALLER ftrace_probe_caller, vectors
	PROBE_CALLER ftrace_probe_caller_general,

	.section .note.GNU-stack, "", @progbits
