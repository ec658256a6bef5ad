/* SPDX-License-Identifier: MIT */
/*
 * x86_64: the code of a site's trampoline (engine/trampoline.h), which is copied. What is different in each copy is
 * written where FIX says. It is ftrace_caller for one ops whose callback needs no vector registers saved. Whatever
 * else there may be (no state of the thread yet, a callback inside another, a parent that may be a stub, another
 * user of the function) is found out before anything has happened, and is the stub's business then, as if this
 * had not been there.
 *
 * It is reached by a jump (the thunk's): slot, the address of the word that holds the caller's return address, is
 * where %rsp is. The frame is a struct pt_regs that ends there, of which ss, the word below slot, takes the caller's
 * %rbp: the only other register that has no place among those that are shown. Its upper part is the red zone while
 * %rsp is still, or again, at slot, so there are but two states for unwinders:
 *
 *	in the frame		slot is %rbp; the caller's %rbp lies below
 *	before and behind	slot is %rsp
 */
#include "entry-regs.h"
#include "trampoline-fix.h"

#define SLOT(pt)	(pt - PT_sizeof)	/* from slot */

#if SLOT(PT_R11) < -128
#error "the red zone does not reach down to what is saved in it"
#endif

/* The @size bytes before here are to be written. See struct fix. */
.macro FIX what, size
98:	.pushsection .rodata.trampoline.fixes, "a", @progbits
	.short	98b - ftrace_trampoline_code - \size, \what
	.popsection
.endm

.macro BEGIN name
	.globl	\name
	.hidden	\name
\name:
.endm

	.section .rodata.trampoline.fixes, "a", @progbits
	.balign	2
BEGIN ftrace_trampoline_fixes

	.section .rodata.trampoline, "a", @progbits
	.balign	64
BEGIN ftrace_trampoline_code
	.byte	0xcc				/* some unwinders look for a pc by the byte before it */
8:	movq	SLOT(PT_RCX)(%rsp), %rcx	/* not here */
	jmp	. + 5 + 0x11223344
	FIX	TRAMPOLINE_STUB, 4
9:	movq	SLOT(PT_RCX)(%rsp), %rcx	/* nobody is told */
	jmp	. + 5 + 0x11223344
	FIX	TRAMPOLINE_BODY, 4

	.balign	ARCH_TRAMPOLINE_ENTRY, 0xcc
	movq	%rcx, SLOT(PT_RCX)(%rsp)
	movabsq	$0x1122334455667788, %rcx
	FIX	TRAMPOLINE_SILENT, 8
	cmpl	$0, (%rcx)
	jne	9b
	movl	(%rsp), %ecx
	subl	$ARCH_STUB_RET, %ecx		/* is the parent a stub, perhaps? */
	testb	$63, %cl
	jz	8b
	movq	%fs:0x11223344, %rcx
	FIX	TRAMPOLINE_SELF, 4
	testq	%rcx, %rcx
	jz	8b
	cmpq	$0, T_CALLBACK(%rcx)
	jne	8b
	movq	%rdx, SLOT(PT_RDX)(%rsp)
	movq	%rbp, SLOT(PT_SS)(%rsp)
	movq	%rsp, %rbp
1:	leaq	SLOT(0)(%rsp), %rsp
	movq	%rsp, T_CALLBACK(%rcx)		/* as CALLBACK_BEGIN */
	movq	0x11223344(%rip), %rdx
	FIX	TRAMPOLINE_OPS, 4
	testq	%rdx, %rdx
	jz	7f
	movq	%rax, SLOT(PT_RAX)(%rbp)
	movq	%rdi, SLOT(PT_RDI)(%rbp)
	movq	%rsi, SLOT(PT_RSI)(%rbp)
	movq	%r8, SLOT(PT_R8)(%rbp)
	movq	%r9, SLOT(PT_R9)(%rbp)
	movq	%r10, SLOT(PT_R10)(%rbp)
	movq	%r11, SLOT(PT_R11)(%rbp)
	leaq	0x11223344(%rip), %rdi
	FIX	TRAMPOLINE_IP, 4
	leaq	0x11223344(%rip), %r8
	FIX	TRAMPOLINE_SITE, 4
	leaq	ARCH_SITE_SIZE(%rdi), %rax
	movq	%rax, SLOT(PT_RIP)(%rbp)
	movq	%rbp, SLOT(PT_RSP)(%rbp)
	movq	(%rbp), %rsi
	movq	%rsp, %rcx
	andq	$-16, %rsp
	call	*OPS_CALL(%rdx)
	/* Once there the thread's state stays where it is. */
	movq	%fs:0x11223344, %rcx
	FIX	TRAMPOLINE_SELF, 4
	movq	$0, T_CALLBACK(%rcx)
	movq	SLOT(PT_RAX)(%rbp), %rax
	movq	SLOT(PT_RDI)(%rbp), %rdi
	movq	SLOT(PT_RSI)(%rbp), %rsi
	movq	SLOT(PT_RDX)(%rbp), %rdx
	movq	SLOT(PT_RCX)(%rbp), %rcx
	movq	SLOT(PT_R8)(%rbp), %r8
	movq	SLOT(PT_R9)(%rbp), %r9
	movq	SLOT(PT_R10)(%rbp), %r10
	movq	SLOT(PT_R11)(%rbp), %r11
	movq	%rbp, %rsp
	movq	SLOT(PT_SS)(%rsp), %rbp
2:	jmp	. + 5 + 0x11223344
	FIX	TRAMPOLINE_BODY, 4

7:	movq	$0, T_CALLBACK(%rcx)		/* the ops is gone, or has company */
	movq	SLOT(PT_RDX)(%rbp), %rdx
	movq	%rbp, %rsp
	movq	SLOT(PT_SS)(%rsp), %rbp
6:	jmp	8b
BEGIN ftrace_trampoline_end

	.section .rodata.trampoline.fixes
BEGIN ftrace_trampoline_fixes_end

	/* Where in the frame: from one up to the other, and again. */
	.section .rodata.trampoline.frame, "a", @progbits
	.balign	2
BEGIN ftrace_trampoline_frame
	.short	1b - ftrace_trampoline_code, 2b - ftrace_trampoline_code
	.short	7b - ftrace_trampoline_code, 6b - ftrace_trampoline_code

	.section .note.GNU-stack, "", @progbits
