/* SPDX-License-Identifier: MIT */
/* x86_64 trampolines that write records: the fast paths. See entry-macros.h for the stack. */
#include "entry-macros.h"

	.text

/* Where a fast path's pushes leave %rsp below the stack picture above. */
#define PUSHED		32
#define FAST_SLOT	(16 + PUSHED)

/* From a slot to its shadow. */
.macro TO_SHADOW reg
	btcq	$ARCH_SHADOW_BIT, \reg
	btcq	$ARCH_SHADOW_LOW_BIT, \reg
.endm

/* The four registers a fast path works with. */
.macro FAST_SAVE
	PUSH	%rax
	PUSH	%rdx
	PUSH	%rcx
	PUSH	%r10
.endm

.macro FAST_RETURN			/* changes no flag */
	.cfi_remember_state
	POP	%r10
	POP	%rcx
	POP	%rdx
	POP	%rax
	ret
	.cfi_restore_state
.endm

/*
 * Write the record %r11 = id << 2 | event, %rcx = thread. The four steps whose order keeps a
 * stream sound under signals (DESIGN section 6): a handler between (1) and (3) that records takes
 * our slot, and (3) fails; one between (3) and (4) finds the slot used and goes past it, and the
 * pointer that (4) sets back heals at the next record. end leaves one slot of the packet free, so
 * a slot that (1) read is inside its packet even if the packet is changed before (3), and then
 * holds the padding that sealed it. What an unwritten slot holds is read before the slot's address:
 * a writer that comes back laps later then finds a pattern it does not know, whatever it read last.
 * Changes %rax, %rdx, %r10.
 * The slow path takes over with %r11d, or \again with %r11 shifted.
 */
.macro RECORD slow, again
	movq	T_UNWRITTEN(%rcx), %rax		/* (0) into the red zone, which signals leave alone */
	movq	%rax, -8(%rsp)
	movq	T_WP(%rcx), %r10		/* (1) the slot */
	cmpq	T_END(%rcx), %r10		/* the packet is full, or there is none */
	jae	\slow
	rdtsc					/* (2) the time: %edx:%eax */
	cmpl	%edx, T_HI(%rcx)		/* the upper half is the packet's */
	jne	\slow
	shlq	$32, %r11
	orq	%rax, %r11
	movq	-8(%rsp), %rax
	cmpxchgq %r11, (%r10)			/* (3) no lock prefix: one thread only */
	jne	\again
	addq	$8, %r10
	movq	%r10, T_WP(%rcx)		/* (4) */
	/*
	 * The lines ahead were last written by the consumer, on another processor: asked for now,
	 * they are here when (3) needs them. A pair of records: 1.10 -> 1.02 x two rdtsc. Faults
	 * nowhere, and is a nop on processors that do not have it.
	 */
	prefetchw 256(%r10)
.endm

/*
 * Call ftrace_record_slow(%r11d, slot, frame pointer) with every register kept that FAST_SAVE has
 * not saved. Leaves its result in %rax.
 */
.macro CALL_SLOW
	PUSH	%rsi
	PUSH	%rdi
	PUSH	%r8
	PUSH	%r9
	PUSH	%rbp
	.cfi_rel_offset %rbp, 0
	pushfq					/* the direction flag, which C wants clear */
	.cfi_adjust_cfa_offset 8
	cld
	movl	%r11d, %edi
	leaq	(FAST_SLOT + 48)(%rsp), %rsi	/* 6 pushes since FAST_SAVE */
	movq	%rbp, %rdx
	movq	%rsp, %rbp
	.cfi_remember_state
	.cfi_def_cfa_register %rbp
	andq	$-16, %rsp
	call	ftrace_record_slow
	movq	%rbp, %rsp
	.cfi_restore_state
	popfq
	.cfi_adjust_cfa_offset -8
	POP	%rbp
	.cfi_restore %rbp
	POP	%r9
	POP	%r8
	POP	%rdi
	POP	%rsi
.endm

/* To \leave where this thread, %rcx, is not one that was chosen. */
.macro IF_UNCHOSEN leave
	cmpl	$0, T_UNCHOSEN(%rcx)
	jne	\leave
.endm

/* One record at entry; the return is not hooked. \choosy: only of threads that were chosen. */
.macro RECORD_FUNCTION choosy
	FAST_SAVE
	orl	$2, %r11d			/* FTRACE_EVENT_FUNCTION; stubs say ENTRY */
	cmpl	$0, ftrace_silent_local(%rip)
	jne	3f
	SELF	2f
.if \choosy
	IF_UNCHOSEN 3f
.endif
	RECORD	2f, 1f
3:	SAY_BODY
	FAST_RETURN
1:	shrq	$32, %r11
2:	CALL_SLOW
	SAY_BODY
	FAST_RETURN
.endm

FUNC ftrace_record_function
	RECORD_FUNCTION choosy=0
ENDFUNC ftrace_record_function

FUNC ftrace_record_function_chosen
	RECORD_FUNCTION choosy=1
ENDFUNC ftrace_record_function_chosen

/*
 * A record at entry, the return address moved to the shadow, the carry set; for a tail call from a
 * hooked function (its return address is a stub's) a record only. \choosy: only of threads that were chosen.
 */
.macro RECORD_ENTRY choosy
	FAST_SAVE
	cmpl	$0, ftrace_silent_local(%rip)
	jne	9f
	SELF	2f
.if \choosy
	IF_UNCHOSEN 9f
.endif
	leaq	FAST_SLOT(%rsp), %rdx		/* is slot in the stack whose shadow is mapped? */
	movq	%rdx, %rax
	subq	T_STACK_LO(%rcx), %rax
	cmpq	T_STACK_SIZE(%rcx), %rax
	jae	2f
	movq	(%rdx), %rax
	leal	-ARCH_STUB_RET(%rax), %r10d	/* stubs are 64 bytes: only one in 64 return */
	testb	$63, %r10b			/* addresses needs a closer look */
	jz	4f
3:	movq	T_TOP(%rcx), %r10		/* the call around this one; at or below our slot it */
	cmpq	%r10, %rdx			/* has been left */
	jae	2f
	TO_SHADOW %rdx
	movq	%rax, (%rdx)
	leaq	(FAST_SLOT - 8)(%rsp), %rax	/* what is around goes to the shadow of the word below */
	TO_SHADOW %rax
	movq	%r10, (%rax)
	RECORD	2f, 1f
	leaq	FAST_SLOT(%rsp), %rdx
	movq	%rdx, T_TOP(%rcx)
	stc
	FAST_RETURN

1:	shrq	$32, %r11			/* the slow path starts over from the slot */
2:	CALL_SLOW
	cmpq	$1, %rax			/* carry: hooked (0); never an overflow (1) */
	FAST_RETURN

4:	leaq	ftrace_regions(%rip), %rdx	/* %rax in any region of stubs? */
5:	movq	%rax, %r10
	subq	REGION_LO(%rdx), %r10
	cmpq	REGION_SIZE(%rdx), %r10
	jb	6f
	addq	$REGION_sizeof, %rdx
	cmpq	$0, REGION_SIZE(%rdx)
	jne	5b
	leaq	FAST_SLOT(%rsp), %rdx
	jmp	3b

6:	leaq	FAST_SLOT(%rsp), %rdx		/* a tail call: the caller's exit ends both */
	cmpq	T_TOP(%rcx), %rdx		/* the caller is the innermost call, if none was left */
	jne	2b
	RECORD	2b, 1b
	movl	$RECORD_TAIL, %r11d
	RECORD	2b, 1b
9:	SAY_BODY
	FAST_RETURN
.endm

FUNC ftrace_record_entry
	RECORD_ENTRY choosy=0
ENDFUNC ftrace_record_entry

FUNC ftrace_record_entry_chosen
	RECORD_ENTRY choosy=1
ENDFUNC ftrace_record_entry_chosen

/* The return: the return address goes back to its slot, a record is written. */
FUNC ftrace_record_exit
	FAST_SAVE
	leaq	FAST_SLOT(%rsp), %rdx
	TO_SHADOW %rdx
	movq	(%rdx), %rax
	movq	%rax, FAST_SLOT(%rsp)
	cmpl	$0, ftrace_silent_local(%rip)
	jne	3f
	SELF	2f
	leaq	(FAST_SLOT - 8)(%rsp), %rdx
	TO_SHADOW %rdx
	movq	(%rdx), %rax			/* the call around this one is the innermost now */
	movq	%rax, T_TOP(%rcx)
	RECORD	2f, 1f
3:	FAST_RETURN
1:	shrq	$32, %r11
2:	CALL_SLOW
	FAST_RETURN
ENDFUNC ftrace_record_exit

/* As ftrace_record_entry and _exit where every call has more to be decided: always in C. */
FUNC ftrace_record_entry_checked
	FAST_SAVE
	CALL_SLOW
	cmpq	$1, %rax
	FAST_RETURN
ENDFUNC ftrace_record_entry_checked

FUNC ftrace_record_exit_checked
	FAST_SAVE
	leaq	FAST_SLOT(%rsp), %rdx
	TO_SHADOW %rdx
	movq	(%rdx), %rax
	movq	%rax, FAST_SLOT(%rsp)
	CALL_SLOW
	FAST_RETURN
ENDFUNC ftrace_record_exit_checked

	.section .note.GNU-stack, "", @progbits
