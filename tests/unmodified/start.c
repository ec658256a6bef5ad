/* SPDX-License-Identifier: MIT */
/*
 * A program whose _start has the unwind information of a function that was called: start files of
 * old C libraries were so. What it would return to is the number of arguments.
 */
#include <stdio.h>
#include <stdlib.h>

__attribute__((used)) static void begin(long *stack)
{
	printf("%ld arguments, the first is %s\n", stack[0], (char *)stack[2]);
	exit(0);
}

__asm__(".text\n"
	".globl _start\n"
	".type _start, @function\n"
	"_start:\n"
	"	.cfi_startproc\n"
	"	xorl	%ebp, %ebp\n"
	"	movq	%rsp, %rdi\n"
	"	andq	$-16, %rsp\n"
	"	call	begin\n"
	"	hlt\n"
	"	.cfi_endproc\n"
	".size _start, . - _start\n");
