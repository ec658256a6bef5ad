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
