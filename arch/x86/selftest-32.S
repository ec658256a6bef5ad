/* SPDX-License-Identifier: MIT */
/* i386 arch_selftest_call(); see selftest-arch.h. */
#include "asm-offsets.h"

/* The arguments, behind what is pushed. */
#define IN	32
#define OUT	36
#define FUNC	40

	.text
	.globl	arch_selftest_call
	.hidden	arch_selftest_call
	.type	arch_selftest_call, @function
	.p2align 4
arch_selftest_call:
	pushl	%ebx
	pushl	%ebp
	pushl	%esi
	pushl	%edi
	subl	$12, %esp		/* aligned at the call */

	movl	IN(%esp), %edi
	pushl	PT_EFLAGS(%edi)
	popfl				/* no flag is changed from here to the call */
	movl	PT_EBX(%edi), %ebx
	movl	PT_ECX(%edi), %ecx
	movl	PT_EDX(%edi), %edx
	movl	PT_ESI(%edi), %esi
	movl	PT_EBP(%edi), %ebp
	movl	PT_EAX(%edi), %eax
	movl	PT_EDI(%edi), %edi
	call	*FUNC(%esp)
1:	pushfl
	pushl	%eax
	movl	(8 + OUT)(%esp), %eax
	movl	%ebx, PT_EBX(%eax)
	movl	%ecx, PT_ECX(%eax)
	movl	%edx, PT_EDX(%eax)
	movl	%esi, PT_ESI(%eax)
	movl	%edi, PT_EDI(%eax)
	movl	%ebp, PT_EBP(%eax)
	popl	PT_EAX(%eax)
	popl	PT_EFLAGS(%eax)
	cld
	leal	-4(%esp), %ecx
	movl	%ecx, PT_ESP(%eax)
	call	2f
2:	popl	%ecx
	leal	(1b - 2b)(%ecx), %ecx
	movl	%ecx, PT_EIP(%eax)

	addl	$12, %esp
	popl	%edi
	popl	%esi
	popl	%ebp
	popl	%ebx
	ret
	.size	arch_selftest_call, . - arch_selftest_call

	.section .note.GNU-stack, "", @progbits
