/* SPDX-License-Identifier: MIT */
/*
 * Where functions begin, by the unwind table: the only thing that tells in a stripped object. The
 * sorted table of PT_GNU_EH_FRAME is read, in the one encoding that linkers make.
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

#endif /* FTRACE_ENGINE_EH_FRAME_H */
