/* SPDX-License-Identifier: MIT */
/* x86, both widths: what compiled-in calls lead to at sites that are not armed. */
	.text
	.globl	__fentry__, mcount, _mcount
	.type	__fentry__, @function
	.type	mcount, @function
	.type	_mcount, @function
	.p2align 4
__fentry__:
mcount:
_mcount:
	.cfi_startproc
	ret
	.cfi_endproc
	.size	__fentry__, . - __fentry__
	.size	mcount, . - mcount
	.size	_mcount, . - _mcount

	.section .note.GNU-stack, "", @progbits
