/* SPDX-License-Identifier: MIT */
/*
 * s390, both widths: constants of a site and of a stub; also for the assembler.
 *
 * A site, once armed, is `brcl 0,stub` (c0 04, off) or `brcl 15,stub` (c0 f4, on), with the stub's
 * displacement in the same four bytes: its second byte toggles it. A FTRACE_FORM_SHORT site is `brc
 * 0,.-6` (a7 04) or `brc 15,.-6` (a7 f4) to a `brcl 15,stub` before the entry.
 *
 * A call's slot is the stack pointer that its function was entered with, S. The caller has left room
 * above S for its callee to save registers in (ELF ABI supplements: 160 bytes, 96 with 31 bits), and
 * whoever runs between the call and the callee's first instruction may use it: there a stub keeps
 * r14, r15 and r0 to r5, at ARCH_SAVE_AREA, so it never moves the stack pointer. The back chain, the
 * word at S, is left alone. The first word saved is r14, the call's return address.
 *
 * The stub, which is laid out the same for both widths (31 bits: stmy, lrl, lmy):
 *
 *	 0  stmg  %r14,%r5,SAVE_AREA(%r15)
 *	 6  iilf  %r0,ENTRY << 30 | id
 *	12  lgrl  %r14,dyn_ftrace.entry
 *	18  basr  %r14,%r14
 *	20  lmg   %r14,%r5,SAVE_AREA(%r15)	returned to here: not hooked
 *	26  brcl  15,body
 *	32  lmg   %r14,%r5,SAVE_AREA(%r15)	returned to here: hooked
 *	38  brasl %r14,body
 *	44  iilf  %r0,EXIT << 30 | id		the return address is in the shadow
 *	50  lgrl  %r1,dyn_ftrace.exit
 *	56  basr  %r14,%r1			returns to the caller
 *	58  (unused, an illegal instruction)
 *
 * None of these changes the condition code.
 */
#ifndef FTRACE_ARCH_SITE_H
#define FTRACE_ARCH_SITE_H

#define ARCH_SITE_SIZE		6
#define ARCH_SITE_TOGGLE	1	/* offset of the byte that differs */
#define ARCH_SITE_OFF		0x04
#define ARCH_SITE_ON		0xf4
#define ARCH_ENTRY_NOPS		3	/* for -fpatchable-function-entry= */
#define ARCH_SHORT_SIZE		4	/* bytes at the entry of a FTRACE_FORM_SHORT site */

#define ARCH_STUB_ENTRY_RET	20	/* return address of the entry handler, not hooked */
#define ARCH_STUB_HOOKED	32	/* ... hooked */
#define ARCH_STUB_RET		44	/* return address of the body: the mark of a hooked call */
#define ARCH_STUB_EXIT_RET	58	/* what the exit handler finds in r14 */
#define ARCH_STUB_FILL		0x00	/* a byte of an illegal instruction */

#ifdef __s390x__
#define ARCH_SAVE_AREA		16	/* above a slot: r14, r15, r0 ... r5 */
#define ARCH_SAVE_TICK		80	/* a doubleword behind them */
#define ARCH_ABI_FRAME		160	/* what every caller provides for its callee */
#else
#define ARCH_SAVE_AREA		8
#define ARCH_SAVE_TICK		40
#define ARCH_ABI_FRAME		96
#endif

#ifdef __s390x__
/*
 * Flipping this bit of a stack's address stays below 4 TB, where a process has three levels of page
 * tables; stacks are at the top of those.
 */
#define ARCH_SHADOW_BIT		41
#define ARCH_SHADOW_XOR		(1ul << ARCH_SHADOW_BIT)
#else
#define ARCH_SHADOW_PAGES	0x80000
#endif

/* The word that holds the return address of the call at @slot, while its stub has not gone on. */
#define ARCH_RETURN_WORD(slot)	((unsigned long *)((unsigned long)(slot) + ARCH_SAVE_AREA))

/* The address that a code pointer means; with 31 bits, its first bit tells of the addressing mode. */
#ifdef __s390x__
#define ARCH_CODE_ADDRESS(addr)	(addr)
#else
#define ARCH_CODE_ADDRESS(addr)	((addr) & 0x7ffffffful)
#endif

/* Room for the call frame information of @n stubs. */
#define ARCH_UNWIND_SIZE(n)	(128 + (n) * (sizeof(long) == 8 ? 80ul : 120ul))

/* Where in the first bytes of a linkage table a jump through a slot is. */
#define ARCH_PLT_OFFSETS	{ 0 }

/* Of the calls that compilers make where the callee is known by its address or a slot. */
#define ARCH_CALL_LENGTHS	{ 6 }

#define ARCH_SYSCALL_SIZE	2	/* of the instruction that makes a system call */

/* Registers as call frame information numbers them (unwind-regs.c): how many matter, which are pc and sp. */
#define ARCH_UNWIND_REGS	33
#define ARCH_UNWIND_PC		32
#define ARCH_UNWIND_SP		15

#define ARCH_ENTRY_UNTOLD	ARCH_SITE_SIZE	/* of a function's first bytes, that unwind tables may leave out */

#define ARCH_SIGNAL_FRAMES		/* no unwind table tells of them: arch_unwind_signal() */

#define ARCH_DWARF_SP		15	/* the stack pointer in unwind tables */

/* The machine, as recordings name it. */
#ifdef __s390x__
#define ARCH_MACHINE		"s390x"
#else
#define ARCH_MACHINE		"s390"
#endif

/* Its libc has a copy of the unwinder's _Unwind_Find_FDE(), which libgcc_s calls in place of its own. */
#define ARCH_LIBC_FINDS_FDE

#endif /* FTRACE_ARCH_SITE_H */
