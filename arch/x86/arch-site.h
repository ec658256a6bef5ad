/* SPDX-License-Identifier: MIT */
/*
 * x86: constants of a site and of a stub; also for entry.S.
 *
 * A site, once armed, is `test $disp, %eax` (a9, off) or `jmp stub` (e9, on), with the stub's
 * displacement in the same four bytes: one byte toggles it. A FTRACE_FORM_SHORT site is `test
 * $disp, %al` (a8) or `jmp .-5` (eb) to a `jmp stub` before the entry.
 *
 * The x86_64 stub, with what the stack pointer is at each offset (slot: the address of the word
 * that holds the caller's return address):
 *
 *	 0  push %r11				sp = slot
 *	 2  mov  $id << 2 | ENTRY, %r11d	sp = slot - 8
 *	 8  call *dyn_ftrace.entry(%rip)
 *	14  pop  %r11
 *	16  jnc  50				sp = slot; carry clear: not hooked
 *	18  lea  8(%rsp), %rsp
 *	23  call body				sp = slot + 8; the return address is in the shadow
 *	28  lea  -8(%rsp), %rsp
 *	33  push %r11				sp = slot
 *	35  mov  $id << 2 | EXIT, %r11d		sp = slot - 8
 *	41  call *dyn_ftrace.exit(%rip)
 *	47  pop  %r11
 *	49  ret					sp = slot; the return address is back in it
 *	50  jo   57				sp = slot; overflow: elsewhere, see below
 *	52  jmp  body				sp = slot
 *	57  jmp  *-24(%rsp)			sp = slot
 *	61  (unused, int3)
 *
 * A handler that sends a call elsewhere has two ways. One goes past the stub by a return to that address, which the
 * processor takes for one to the stub: any flags and stack pointer, and a return predicted wrong. The other
 * returns to the stub with overflow set and the address in the red zone, ARCH_STUB_TARGET below slot, which signals
 * leave alone: no return is unpaired and no register lost.
 *
 * The i386 stub. No register is free at an entry, so handlers find the id on the stack and take it
 * off themselves. Behind a return sp may be higher than slot + 4 by what the function took off
 * the stack (`ret $n`); "back" is where the return address is put then, the word below it.
 *
 *	 0  push $id << 2 | ENTRY		sp = slot
 *	 5  call *dyn_ftrace.entry		sp = slot - 4
 *	11  jnc  38				sp = slot; carry clear: not hooked
 *	13  lea  4(%esp), %esp
 *	17  call body				sp = slot + 4; the return address is in the shadow
 *	22  lea  -4(%esp), %esp			sp = back + 4
 *	26  push $id << 2 | EXIT		sp = back
 *	31  call *dyn_ftrace.exit		sp = back - 4
 *	37  ret					sp = back
 *	38  jmp  body				sp = slot
 *	43  (unused, int3)
 *
 * The detour of a probe at any instruction (engine/detour.h), 256 bytes; its data are as far behind it as a stub's.
 * x86_64 code may use 128 bytes below its stack pointer, which nothing here may touch or move by anything
 * that changes flags; sp is the probed function's:
 *
 *	  0  lea  -128(%rsp), %rsp
 *	  5  push %r11				sp - 128
 *	  7  call *probe_detour.call(%rip)	sp - 136
 *	 13  pop  %r11
 *	 15  lea  128(%rsp), %rsp		sp - 128
 *	 23  copy of the instructions, and a jump back; 64 bytes
 *	 88  pop  %r11				sp - 136: returned to from the call where a post_handler wants
 *	 90  lea  128(%rsp), %rsp		sp - 128   to be told behind the first instruction
 *	 98  copy of the first instruction, and a jump to:
 *	162  lea  -128(%rsp), %rsp
 *	167  push %r11
 *	169  call *probe_detour.call(%rip)
 *	175  pop  %r11
 *	177  lea  128(%rsp), %rsp
 *	185  copy of the others, and a jump back
 *
 * i386:
 *
 *	  0  push $0
 *	  5  call *probe_detour.call		takes both words off the stack
 *	 11  copy of the instructions, and a jump back
 *	 75  copy of the first instruction, and a jump to:
 *	139  push $0
 *	144  call *probe_detour.call
 *	150  copy of the others, and a jump back
 */
#ifndef FTRACE_ARCH_SITE_H
#define FTRACE_ARCH_SITE_H

#define ARCH_SITE_SIZE		5
#define ARCH_SITE_TOGGLE	0	/* offset of the byte that differs */
#define ARCH_SITE_OFF		0xa9
#define ARCH_SITE_ON		0xe9
#define ARCH_ENTRY_NOPS		5	/* for -fpatchable-function-entry= */
#define ARCH_SHORT_SIZE		2	/* bytes at the entry of a FTRACE_FORM_SHORT site */
#define ARCH_SITE_SHORT_OFF	0xa8
#define ARCH_SITE_SHORT_ON	0xeb

#ifdef __x86_64__

#define ARCH_STUB_ENTRY_RET	14	/* return address of the entry handler */
#define ARCH_STUB_HOOKED	18	/* behind the branch: the call is hooked */
#define ARCH_STUB_RET		28	/* return address of the body: the mark of a hooked call */
#define ARCH_STUB_EXIT_RET	47	/* return address of the exit handler */
#define ARCH_STUB_GO		50	/* not hooked: to the body or elsewhere */
#define ARCH_STUB_BODY		52	/* straight to the body */
#define ARCH_STUB_ELSEWHERE	57	/* to the address ARCH_STUB_TARGET bytes below slot */
#define ARCH_STUB_TARGET	24

/*
 * A slot's shadow is at its address with two bits flipped. The upper one leads to where nobody's memory is.
 * The lower one stays within the page, and keeps the two from agreeing in their lowest 12 bits: by these
 * processors look for the store that a load is to be given, take the stack's for the shadow's, and wait
 * until it has left for the cache. A nested pair of records: 30 -> 19.6 ns on AMD Zen 4, two rdtsc being 19.2.
 */
#define ARCH_SHADOW_BIT		45
#define ARCH_SHADOW_LOW_BIT	11
#define ARCH_SHADOW_XOR		(1ul << ARCH_SHADOW_BIT | 1ul << ARCH_SHADOW_LOW_BIT)

#else /* i386 */

#define ARCH_STUB_ENTRY_RET	11
#define ARCH_STUB_HOOKED	13
#define ARCH_STUB_RET		22
#define ARCH_STUB_EXIT_RET	37
#define ARCH_STUB_BODY		38

#define ARCH_SHADOW_PAGES	0x100000

/* In struct dyn_ftrace: what the function's return takes off the stack, once seen (`ret $n`). */
#define ARCH_SITE_FIELDS	u32 pop;

#endif

#define ARCH_STUB_FILL		0xcc	/* int3 */

/* The word that holds the return address of the call at @slot, while its stub has not gone on. */
#define ARCH_RETURN_WORD(slot)	((unsigned long *)(slot))

/* The address that a code pointer means. */
#define ARCH_CODE_ADDRESS(addr)	(addr)

/* Room for the call frame information of @n stubs. */
#define ARCH_UNWIND_SIZE(n)	512

/* The stack pointer's number in unwind tables. */
#ifdef __x86_64__
#define ARCH_DWARF_SP	7
#else
#define ARCH_DWARF_SP	4
#endif

/* Where in the first bytes of a linkage table a jump through a slot is. */
#define ARCH_PLT_OFFSETS	{ 0, 6 }

/* Of the calls that compilers make where the callee is known by its address or a slot. */
#define ARCH_CALL_LENGTHS	{ 5, 6 }

#define ARCH_ENTRY_UNTOLD	0	/* of a function's first bytes, that unwind tables may leave out */

#define ARCH_SYSCALL_SIZE	2	/* of the instruction that makes a system call */

/* Registers as call frame information numbers them: how many matter, which are pc and sp. */
#ifdef __x86_64__
#define ARCH_UNWIND_REGS	17
#define ARCH_UNWIND_PC		16
#define ARCH_UNWIND_SP		7
#else
#define ARCH_UNWIND_REGS	9
#define ARCH_UNWIND_PC		8
#define ARCH_UNWIND_SP		4
#endif
#define ARCH_UNWIND_SP_IS_CFA		/* behind a return sp is the frame's address, where nothing else is said */

/*
 * A thunk (engine/thunk.h), at offsets where a stub's sp is slot, too:
 *
 *	 0  jmp  *ftrace_thunk.target(%rip)
 *	50  call *ftrace_thunk.direct(%rip)
 *	56  jmp  body
 */
#ifdef __x86_64__
#define ARCH_HAS_THUNKS
#define ARCH_THUNK_DIRECT	50

/* A site's trampoline (engine/trampoline.h): trampoline.S. */
#define ARCH_HAS_TRAMPOLINES
#define ARCH_TRAMPOLINE_SIZE	320	/* as many in each page as it has room for */
#define ARCH_TRAMPOLINE_ENTRY	32	/* where it is jumped to */
#endif

#define ARCH_HAS_DETOURS
#define ARCH_INSN_MAX		15	/* bytes of an instruction */
#define ARCH_BREAKPOINT_SIZE	1
#ifdef __x86_64__
#define ARCH_DETOUR_RET		13	/* return address of the call before the instruction */
#define ARCH_DETOUR_COPY	23
#define ARCH_DETOUR_AGAIN	88	/* to be returned to instead */
#define ARCH_DETOUR_FIRST	98
#define ARCH_DETOUR_POST	162
#define ARCH_DETOUR_POST_RET	175
#define ARCH_DETOUR_REST	185
#else
#define ARCH_DETOUR_RET		11
#define ARCH_DETOUR_COPY	11
#define ARCH_DETOUR_AGAIN	75
#define ARCH_DETOUR_FIRST	75
#define ARCH_DETOUR_POST	139
#define ARCH_DETOUR_POST_RET	150
#define ARCH_DETOUR_REST	150
#endif

#define ARCH_HAS_REPLACE_CALLER		/* there is a ftrace_replace_caller */

/* ftrace_regs_caller asks for FTRACE_SITE_LOUD. */
#define ARCH_REGS_CALLER_KNOWS_LOUD

/* The machine, as recordings name it. */
#ifdef __x86_64__
#define ARCH_MACHINE		"x86_64"
#else
#define ARCH_MACHINE		"i386"
/* Its libc has a copy of the unwinder's _Unwind_Find_FDE(), which libgcc_s calls in place of its own. */
#define ARCH_LIBC_FINDS_FDE
#endif

#endif /* FTRACE_ARCH_SITE_H */
