/* SPDX-License-Identifier: MIT */
/*
 * The unwind table: where functions begin, the only thing that tells in a stripped object, and where
 * their frames are. The sorted table of PT_GNU_EH_FRAME is read, in the one encoding that linkers make.
 */
#ifndef FTRACE_ENGINE_EH_FRAME_H
#define FTRACE_ENGINE_EH_FRAME_H

#include "elf-file.h"

struct eh_frame {
	const struct elf *elf;
	const u8 *table;	/* pairs of 32-bit offsets: start, entry; NULL: no table */
	u32 count;
	u64 base;		/* what the offsets count from */
};

/* Never fails: an object without a usable table gets an empty one. Needs elf_load_segments(). */
void eh_frame_open(struct eh_frame *t, const struct elf *e);

u64 eh_frame_start(const struct eh_frame *t, u32 i);	/* i < count */

/* The first entry whose start is at or above @addr; count: none. */
u32 eh_frame_lower(const struct eh_frame *t, u64 addr);

/* Does a function begin at @addr? */
bool eh_frame_has(const struct eh_frame *t, u64 addr);

/* Bytes of the function of entry @i; 0: cannot be told. */
u64 eh_frame_size(const struct eh_frame *t, u32 i);

/* Entry @i and the common one it belongs to, each behind its length and id. */
struct eh_entry {
	const u8 *cie, *cie_end, *fde, *fde_end;
	unsigned int addr_size;		/* bytes of an address in the fde */
	u64 size;			/* bytes of the function */
};

/* False: cannot be read. */
bool eh_frame_entry(const struct eh_frame *t, u32 i, struct eh_entry *entry);

/* ---- eh-rows.c: where the frame is ---- */

/* Instructions (DW_CFA_*); the first three have an operand in their low bits. */
enum {
	CFA_ADVANCE = 0x40, CFA_OFFSET = 0x80, CFA_RESTORE = 0xc0,
	CFA_NOP = 0x00, CFA_SET_LOC = 0x01, CFA_ADVANCE1 = 0x02, CFA_ADVANCE2 = 0x03,
	CFA_ADVANCE4 = 0x04, CFA_OFFSET_EXTENDED = 0x05, CFA_RESTORE_EXTENDED = 0x06,
	CFA_UNDEFINED = 0x07, CFA_SAME_VALUE = 0x08, CFA_REGISTER = 0x09,
	CFA_REMEMBER_STATE = 0x0a, CFA_RESTORE_STATE = 0x0b, CFA_DEF_CFA = 0x0c,
	CFA_DEF_CFA_REGISTER = 0x0d, CFA_DEF_CFA_OFFSET = 0x0e, CFA_DEF_CFA_EXPRESSION = 0x0f,
	CFA_EXPRESSION = 0x10, CFA_OFFSET_EXTENDED_SF = 0x11, CFA_DEF_CFA_SF = 0x12,
	CFA_DEF_CFA_OFFSET_SF = 0x13, CFA_VAL_OFFSET = 0x14, CFA_VAL_OFFSET_SF = 0x15,
	CFA_VAL_EXPRESSION = 0x16, CFA_GNU_ARGS_SIZE = 0x2e,
	CFA_GNU_NEGATIVE_OFFSET_EXTENDED = 0x2f,
};

/* All reading stops at @end: what is cut off reads as 0, and no instruction is left after it. */
u64 eh_read_uleb(const u8 **p, const u8 *end);
s64 eh_read_sleb(const u8 **p, const u8 *end);

#define EH_NO_REG	0xff	/* the frame's address is not a register plus an offset */
#define EH_MAX_STATES	8	/* of DW_CFA_remember_state; compilers nest one */

struct eh_cfa {
	u8 reg;			/* by its number in DWARF, or EH_NO_REG */
	s64 offset;		/* CFA = reg + offset */
};

/* Where the return address is. */
struct eh_return {
	bool saved;		/* in memory at CFA + offset; else elsewhere, or nobody knows */
	s64 offset;
};

struct eh_rows {
	const struct elf *elf;
	const u8 *common, *common_end;	/* what all functions of its common entry begin with */
	const u8 *p, *end;	/* what follows of the program */
	u64 code_align;
	s64 data_align;
	u64 from, to;		/* the row in force: addresses from <= pc < to */
	u64 last;		/* the function's end */
	struct eh_cfa cfa;
	struct eh_return ra, ra_first;	/* as it is now, as it is in the common entry */
	u64 ra_reg;			/* the number of its column */
	bool signal;			/* the frame of a signal handler's caller */
	struct {
		struct eh_cfa cfa;
		struct eh_return ra;
	} states[EH_MAX_STATES];
	u32 nstates;
};

/* Begin with entry @i. False: it cannot be read. */
bool eh_rows_open(struct eh_rows *r, const struct eh_frame *t, u32 i);

/*
 * Go on to the row of @pc, which must not be lower than before: r->cfa. False: there is none, or what
 * leads there has an instruction that is not known.
 */
bool eh_rows_at(struct eh_rows *r, u64 pc);

/* One instruction of the program, r->p being behind it then. */
enum eh_step {
	EH_STEP_OTHER,
	EH_STEP_ADVANCE,	/* by *@advance bytes */
	EH_STEP_END,
	EH_STEP_UNKNOWN,	/* nothing can be said of what follows */
};
enum eh_step eh_rows_step(struct eh_rows *r, u64 *advance);

#endif /* FTRACE_ENGINE_EH_FRAME_H */
