/* SPDX-License-Identifier: MIT */
/*
 * i386: atomic operations on 64 bits, as gcc calls them in code that must not touch x87 or vector
 * registers (their names and arguments are libatomic's). All are cmpxchg8b, so memory must be
 * writable, for a load too.
 */
	.text

/* The arguments, behind three saved registers. */
#define ARG(n)		(16 + 4 * (n))

.macro FUNC name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.p2align 4
\name:
	.cfi_startproc
	pushl	%ebx
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %ebx, 0
	pushl	%esi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %esi, 0
	pushl	%edi
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %edi, 0
	movl	ARG(0)(%esp), %esi
.endm

.macro ENDFUNC name
	popl	%edi
	.cfi_adjust_cfa_offset -4
	.cfi_restore %edi
	popl	%esi
	.cfi_adjust_cfa_offset -4
	.cfi_restore %esi
	popl	%ebx
	.cfi_adjust_cfa_offset -4
	.cfi_restore %ebx
	ret
	.cfi_endproc
	.size	\name, . - \name
.endm

/* u64 __atomic_load_8(const u64 *p, int order) */
FUNC __atomic_load_8
	xorl	%eax, %eax
	xorl	%edx, %edx
	xorl	%ebx, %ebx
	xorl	%ecx, %ecx
	lock cmpxchg8b (%esi)
ENDFUNC __atomic_load_8

/* u64 __atomic_exchange_8(u64 *p, u64 value, int order) */
FUNC __atomic_exchange_8
	movl	ARG(1)(%esp), %ebx
	movl	ARG(2)(%esp), %ecx
	movl	(%esi), %eax
	movl	4(%esi), %edx
1:	lock cmpxchg8b (%esi)
	jne	1b
ENDFUNC __atomic_exchange_8

/* void __atomic_store_8(u64 *p, u64 value, int order) */
FUNC __atomic_store_8
	movl	ARG(1)(%esp), %ebx
	movl	ARG(2)(%esp), %ecx
	movl	(%esi), %eax
	movl	4(%esi), %edx
1:	lock cmpxchg8b (%esi)
	jne	1b
ENDFUNC __atomic_store_8

/* u64 __atomic_fetch_add_8(u64 *p, u64 value, int order) */
FUNC __atomic_fetch_add_8
	movl	(%esi), %eax
	movl	4(%esi), %edx
1:	movl	ARG(1)(%esp), %ebx
	movl	ARG(2)(%esp), %ecx
	addl	%eax, %ebx
	adcl	%edx, %ecx
	lock cmpxchg8b (%esi)
	jne	1b
ENDFUNC __atomic_fetch_add_8

/* u64 __atomic_fetch_or_8(u64 *p, u64 value, int order) */
FUNC __atomic_fetch_or_8
	movl	(%esi), %eax
	movl	4(%esi), %edx
1:	movl	ARG(1)(%esp), %ebx
	movl	ARG(2)(%esp), %ecx
	orl	%eax, %ebx
	orl	%edx, %ecx
	lock cmpxchg8b (%esi)
	jne	1b
ENDFUNC __atomic_fetch_or_8

/* u64 __atomic_fetch_and_8(u64 *p, u64 value, int order) */
FUNC __atomic_fetch_and_8
	movl	(%esi), %eax
	movl	4(%esi), %edx
1:	movl	ARG(1)(%esp), %ebx
	movl	ARG(2)(%esp), %ecx
	andl	%eax, %ebx
	andl	%edx, %ecx
	lock cmpxchg8b (%esi)
	jne	1b
ENDFUNC __atomic_fetch_and_8

/* bool __atomic_compare_exchange_8(u64 *p, u64 *expected, u64 value, int success, int failure) */
FUNC __atomic_compare_exchange_8
	movl	ARG(1)(%esp), %edi
	movl	ARG(2)(%esp), %ebx
	movl	ARG(3)(%esp), %ecx
	movl	(%edi), %eax
	movl	4(%edi), %edx
	lock cmpxchg8b (%esi)
	je	1f
	movl	%eax, (%edi)
	movl	%edx, 4(%edi)
	xorl	%eax, %eax
	jmp	2f
1:	movl	$1, %eax
2:
ENDFUNC __atomic_compare_exchange_8

	.section .note.GNU-stack, "", @progbits
