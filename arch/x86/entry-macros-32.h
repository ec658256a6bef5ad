/* SPDX-License-Identifier: MIT */
/*
 * i386 trampolines, what both files of them share: entry-record-32.S (records) and entry-32.S
 * (callbacks).
 *
 * A stub (arch-site.h) calls a trampoline at a function's entry and at its return, with this on the
 * stack, slot being the address of the word that the caller's call instruction pushed; at the
 * return, the word below the stack pointer as the function left it:
 *
 *	slot	 return address into the caller
 *	slot-4	 site id << 2 | event
 *	slot-8	 return address into the stub		<- %esp
 *
 * The trampoline takes both lower words off the stack. An entry trampoline returns with the carry flag
 * set to make the stub call the body and come back (the return address must be in the shadow by
 * then), clear to make it jump to the body. Arithmetic flags are dead at a function's entry, so
 * the fast paths change them; the paths with full registers restore them all the same.
 *
 * The CFA of a trampoline is slot: for the stub's frame the two words are off the stack.
 */
#ifndef FTRACE_ARCH_ENTRY_MACROS_32_H
#define FTRACE_ARCH_ENTRY_MACROS_32_H

#include "asm-offsets.h"
#include "arch-site.h"

.macro FUNC name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.p2align 6
\name:
	.cfi_startproc
	.cfi_def_cfa %esp, 8
	.cfi_offset %eip, -8
.endm

.macro ENDFUNC name
	.cfi_endproc
	.size	\name, . - \name
.endm

.macro PUSH reg
	pushl	\reg
	.cfi_adjust_cfa_offset 4
.endm

.macro POP reg
	popl	\reg
	.cfi_adjust_cfa_offset -4
.endm

/* %ebx = the global offset table. */
.macro GOT
	call	ftrace_pc_ebx
	addl	$_GLOBAL_OFFSET_TABLE_, %ebx
.endm

/* \self = this thread's state (%ebx: the global offset table); to \none when it has none yet. */
.macro SELF self, none
	movl	ftrace_self@gotntpoff(%ebx), \self
	movl	%gs:(\self), \self
	testl	\self, \self
	jz	\none
.endm

#endif /* FTRACE_ARCH_ENTRY_MACROS_32_H */
