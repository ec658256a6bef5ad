/* SPDX-License-Identifier: MIT */
/*
 * x86_64 trampolines, what both files of them share: entry-record.S (records) and entry.S (callbacks).
 *
 * A stub (arch-site.h) calls a trampoline at a function's entry and at its return, with this on the
 * stack, slot being the address of the word that the caller's call instruction pushed:
 *
 *	slot	 return address into the caller
 *	slot-8	 the caller's %r11
 *	slot-16	 return address into the stub		<- %rsp
 *
 * and %r11d = site id << 2 | event. An entry trampoline returns with the carry flag set to make
 * the stub call the body and come back (the return address must be in the shadow by then); with carry and
 * overflow clear to make it jump to the body; with overflow alone to make it jump to the address in the
 * word at slot - ARCH_STUB_TARGET. Arithmetic flags are dead at a function's entry (the ABI passes nothing
 * in them, and the switched-off site is itself a `test`), so the fast paths change them; the
 * paths with full registers restore them all the same.
 */
#ifndef FTRACE_ARCH_ENTRY_MACROS_H
#define FTRACE_ARCH_ENTRY_MACROS_H

#include "asm-offsets.h"
#include "arch-site.h"

.macro FUNC name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.p2align 6
\name:
	.cfi_startproc
.endm

.macro ENDFUNC name
	.cfi_endproc
	.size	\name, . - \name
.endm

.macro PUSH reg
	pushq	\reg
	.cfi_adjust_cfa_offset 8
.endm

.macro POP reg
	popq	\reg
	.cfi_adjust_cfa_offset -8
.endm

/* What an entry trampoline says to the stub: not hooked, into the body. */
.macro SAY_BODY
	testl	%eax, %eax
.endm

/* %rcx = this thread's state; to \none when it has none yet. */
.macro SELF none
	movq	ftrace_self@gottpoff(%rip), %rcx
	movq	%fs:(%rcx), %rcx
	testq	%rcx, %rcx
	jz	\none
.endm

#endif /* FTRACE_ARCH_ENTRY_MACROS_H */
