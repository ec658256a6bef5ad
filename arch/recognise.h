/* SPDX-License-Identifier: MIT */
/*
 * What a compiler leaves at a function's entry: landing pads, nops, calls of mcount and
 * __fentry__. Only recognised, never changed, and only what is asked for: no disassembler.
 *
 * @code: bytes as they stand in the file, @avail of them; @vaddr: their address there. All
 * functions are async-signal-safe.
 */
#ifndef FTRACE_ARCH_RECOGNISE_H
#define FTRACE_ARCH_RECOGNISE_H

#include "arch-elf.h"
#include "base.h"

/* Length of the landing pad (endbr) at @code; 0: none there. */
size_t arch_landing_pad(const u8 *code, size_t avail);

/* Length of the nop instruction at @code; 0: another instruction, or cut off. */
size_t arch_nop(const u8 *code, size_t avail);

enum arch_call {
	ARCH_CALL_NONE,
	ARCH_CALL_DIRECT,	/* *target: the address called */
	ARCH_CALL_SLOT,		/* *target: address of the word (GOT) that holds the one called */
};

/*
 * Is there a call at @code? *@len: its bytes. @got: what the global offset table's pointer holds
 * (only narrow programs need it).
 */
enum arch_call arch_call(const u8 *code, size_t avail, u64 vaddr, u64 got, u64 *target, u8 *len);

/*
 * The same for a jump, also a conditional one, that may leave the function. Looked for at every byte, so
 * what it takes for a jump may be the middle of something else.
 */
enum arch_call arch_jump(const u8 *code, size_t avail, u64 vaddr, u64 got, u64 *target);

/* The first offset from @at on where such a jump may begin; @avail: none. Made to be fast. */
size_t arch_next_jump(const u8 *code, size_t at, size_t avail);

/* Where the frame (CFA) would be: register, by its number in DWARF, plus offset. */
struct arch_cfa {
	u8 reg;
	s64 offset;
};

/*
 * The first offset from @at on of an instruction that, if the frame is at *@cfa there, reads the word
 * with the return address or takes its address; @avail: none. Looked for at every byte, as jumps are;
 * made to be fast.
 */
size_t arch_next_return_slot(const u8 *code, size_t at, size_t avail, struct arch_cfa *cfa);

/* Is there a procedure linkage table entry at @code? Then *@slot is the word it jumps through. */
bool arch_plt_entry(const u8 *code, size_t avail, u64 vaddr, u64 got, u64 *slot);

/*
 * A call of mcount that stands at a function's entry (@code), with the return address put away and
 * fetched again around it: the bytes from the call on to where the function goes on with the return
 * address in its register. *@at: where the call is. 0: none there.
 */
size_t arch_entry_mcount(const u8 *code, size_t avail, size_t *at);

/* Length of a nop at a function's entry (@code) that is there to be patched, listed nowhere. 0: none. */
size_t arch_unlisted_nop(const u8 *code, size_t avail);

/*
 * Length of the instruction at @code if it is one of those that compilers put before a call of
 * mcount: frame set-up, moves, simple arithmetic; never a call (but i386's that asks for the pc), a
 * return or an unconditional jump. 0: another, or cut off.
 */
size_t arch_prologue_insn(const u8 *code, size_t avail);

/*
 * Do the function's first instructions (behind the landing pad) make the frame in which mcount
 * and the return address have their known places (push bp; mov sp, bp)?
 */
bool arch_frame_setup(const u8 *code, size_t avail);

#endif /* FTRACE_ARCH_RECOGNISE_H */
