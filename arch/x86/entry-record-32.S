/* SPDX-License-Identifier: MIT */
/* i386 trampolines that write records: the fast paths. See entry-macros-32.h for the stack. */
#include "entry-macros-32.h"

	.text

/* Where a fast path's pushes leave %esp below the stack picture there. */
#define PUSHED		24
#define FAST_STUB	PUSHED
#define FAST_ID		(4 + PUSHED)
#define FAST_SLOT	(8 + PUSHED)

/* The registers a fast path works with. */
.macro FAST_SAVE
	PUSH	%eax
	PUSH	%edx
	PUSH	%ecx
	PUSH	%ebx
	.cfi_rel_offset %ebx, 0
	PUSH	%esi
	.cfi_rel_offset %esi, 0
	PUSH	%edi
	.cfi_rel_offset %edi, 0
.endm

.macro FAST_RETURN			/* changes no flag */
	.cfi_remember_state
	POP	%edi
	.cfi_restore %edi
	POP	%esi
	.cfi_restore %esi
	POP	%ebx
	.cfi_restore %ebx
	POP	%ecx
	POP	%edx
	POP	%eax
	ret	$4
	.cfi_restore_state
.endm

/*
 * Write the record whose upper half is at FAST_ID; %edi = thread. The steps are those of RECORD in
 * entry-record.S, where the why of their order is: (0) what an unwritten slot holds, (1) the slot,
 * (2) the time, (3) the exchange, (4) the write pointer. Without a lock prefix the exchange of
 * eight bytes is hidden behind the clock: 9.0 ns with and without it.
 * Changes all but %edi and %ebp. \slow: whatever is not plain.
 */
.macro RECORD slow
	movl	T_UNWRITTEN(%edi), %ebx		/* (0) */
	movl	(T_UNWRITTEN + 4)(%edi), %ecx
	movl	T_WP(%edi), %esi		/* (1) */
	cmpl	T_END(%edi), %esi
	jae	\slow
	rdtsc					/* (2) */
	cmpl	%edx, T_HI(%edi)
	jne	\slow
	xchgl	%eax, %ebx
	movl	%ecx, %edx
	movl	FAST_ID(%esp), %ecx
	cmpxchg8b (%esi)			/* (3) */
	jne	\slow
	addl	$8, %esi
	movl	%esi, T_WP(%edi)		/* (4) */
	prefetchw 256(%esi)
.endm

/* %esi = the shadow of slot %edx; %ebx = the global offset table. */
.macro SHADOW
	movl	%edx, %esi
	shrl	$12, %esi
	movl	ftrace_shadow_pages@GOTOFF(%ebx, %esi, 4), %esi
	leal	(%esi, %edx, SHADOW_WORDS), %esi
.endm

/*
 * Call \func(id and event, slot, frame pointer, return address into the stub): the slow path. Its
 * result is in %eax. Registers: FAST_SAVE has saved what C may change.
 */
.macro CALL_SLOW func
	pushfl					/* the direction flag, which C wants clear */
	.cfi_adjust_cfa_offset 4
	cld
	leal	(4 + FAST_SLOT)(%esp), %edx
	movl	%esp, %esi
	.cfi_remember_state
	.cfi_def_cfa_register %esi
	andl	$-16, %esp
	pushl	(4 + FAST_STUB)(%esi)
	pushl	%ebp
	pushl	%edx
	pushl	(4 + FAST_ID)(%esi)
	call	\func
	movl	%esi, %esp
	.cfi_restore_state
	popfl
	.cfi_adjust_cfa_offset -4
.endm

/* To \leave where this thread, %edi, is not one that was chosen. */
.macro IF_UNCHOSEN leave
	cmpl	$0, T_UNCHOSEN(%edi)
	jne	\leave
.endm

/* One record at entry; the return is not hooked. \choosy: only of threads that were chosen. */
.macro RECORD_FUNCTION choosy
	FAST_SAVE
	orl	$2, FAST_ID(%esp)		/* FTRACE_EVENT_FUNCTION; stubs say ENTRY */
	GOT
	cmpl	$0, ftrace_silent_local@GOTOFF(%ebx)
	jne	3f
	SELF	%edi, 2f
.if \choosy
	IF_UNCHOSEN 3f
.endif
	RECORD	2f
3:	clc
	FAST_RETURN
2:	CALL_SLOW ftrace_record_slow
	clc
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
	GOT
	cmpl	$0, ftrace_silent_local@GOTOFF(%ebx)
	jne	9f
	SELF	%edi, 2f
.if \choosy
	IF_UNCHOSEN 9f
.endif
	leal	FAST_SLOT(%esp), %edx		/* is slot in the stack whose shadow is mapped? */
	movl	%edx, %eax
	subl	T_STACK_LO(%edi), %eax
	cmpl	T_STACK_SIZE(%edi), %eax
	jae	2f
	movl	(%edx), %eax
	leal	-ARCH_STUB_RET(%eax), %ecx	/* stubs are 64 bytes: only one in 64 return */
	testb	$63, %cl			/* addresses needs a closer look */
	jz	4f
3:	movl	T_TOP(%edi), %ecx		/* the call around this one; at or below our slot it */
	cmpl	%ecx, %edx			/* has been left */
	jae	2f
	SHADOW
	movl	%eax, (%esi)
	movl	%ecx, SHADOW_AROUND(%esi)
	movl	FAST_ID(%esp), %eax
	movl	%eax, SHADOW_SITE(%esi)
	RECORD	2f
	leal	FAST_SLOT(%esp), %edx
	movl	%edx, T_TOP(%edi)
	stc
	FAST_RETURN

2:	CALL_SLOW ftrace_record_slow		/* starts over from the slot */
	cmpl	$1, %eax			/* carry: hooked (0) */
	FAST_RETURN

4:	leal	ftrace_regions@GOTOFF(%ebx), %esi	/* %eax in any region of stubs? */
5:	movl	%eax, %ecx
	subl	REGION_LO(%esi), %ecx
	cmpl	REGION_SIZE(%esi), %ecx
	jb	6f
	addl	$REGION_sizeof, %esi
	cmpl	$0, REGION_SIZE(%esi)
	jne	5b
	jmp	3b

6:	cmpl	T_TOP(%edi), %edx		/* a tail call: the caller's exit ends both; it is */
	jne	2b				/* the innermost call, if none was left */
	RECORD	2b
	movl	$RECORD_TAIL, FAST_ID(%esp)
	RECORD	2b
9:	clc
	FAST_RETURN
.endm

FUNC ftrace_record_entry
	RECORD_ENTRY choosy=0
ENDFUNC ftrace_record_entry

FUNC ftrace_record_entry_chosen
	RECORD_ENTRY choosy=1
ENDFUNC ftrace_record_entry_chosen

/*
 * The return: the return address goes back to the stack, a record is written. The fast path knows the
 * slot: it is where this function's returns have been seen to leave the stack pointer, and the
 * innermost call's. Otherwise it is searched for.
 */
FUNC ftrace_record_exit
	FAST_SAVE
	GOT
	SELF	%edi, 2f
	movl	FAST_STUB(%esp), %ecx
	leal	FAST_SLOT(%esp), %edx
	subl	(SITE_FROM_EXIT_RET + SITE_POP)(%ecx), %edx
	cmpl	T_TOP(%edi), %edx
	jne	2f
	SHADOW
	movl	(%esi), %eax
	movl	%eax, FAST_SLOT(%esp)
	movl	SHADOW_AROUND(%esi), %eax	/* the call around this one is the innermost now */
	movl	%eax, T_TOP(%edi)
	movl	$0, SHADOW_SITE(%esi)
	cmpl	$0, ftrace_silent_local@GOTOFF(%ebx)
	jne	1f
	RECORD	3f
1:	FAST_RETURN
2:	CALL_SLOW ftrace_record_exit_slow
	FAST_RETURN
3:	CALL_SLOW ftrace_record_exit_again
	FAST_RETURN
ENDFUNC ftrace_record_exit

/* As ftrace_record_entry and _exit where every call has more to be decided: always in C. */
FUNC ftrace_record_entry_checked
	FAST_SAVE
	CALL_SLOW ftrace_record_slow
	cmpl	$1, %eax
	FAST_RETURN
ENDFUNC ftrace_record_entry_checked

FUNC ftrace_record_exit_checked
	FAST_SAVE
	CALL_SLOW ftrace_record_exit_slow
	FAST_RETURN
ENDFUNC ftrace_record_exit_checked

	.section .note.GNU-stack, "", @progbits
