/* SPDX-License-Identifier: MIT */
/*
 * Call frame information for copies of moved instructions (plan.h): what the unwind table of the object
 * says of the original instructions, said of their copies. A thread is seldom found in one, as calls are
 * never made there; so it is made when an unwinder asks, a chunk at a time.
 *
 * What it is made in is memory that was reserved with the chunk: nothing is asked of the system then.
 */
#ifndef FTRACE_ENGINE_COPY_FRAMES_H
#define FTRACE_ENGINE_COPY_FRAMES_H

#include "base.h"

/* Room that a chunk's copies need for it. */
#define FTRACE_COPY_FRAMES_SIZE	(128ul << 10)

/*
 * Copies of the sites from @first on, one chunk of them, begin at @start; @room is for what is said of
 * them. Calls must not overlap.
 */
void ftrace_copies_add(unsigned long start, u32 first, void *room);

/* Something was written to the copies at @start, so that somebody may be there. */
void ftrace_copies_used(unsigned long start);

/* A chunk's copies; @room begins with their .eh_frame_hdr once it is made. */
struct ftrace_copies {
	unsigned long start, end;
	u32 first;
	bool used;
	u32 state;			/* of what is made */
	u8 *room;
	size_t size;			/* of what is made; 0: nothing yet */
	size_t eh_frame;		/* where in it .eh_frame begins */
};

/* The chunk @pc is in, its information made; NULL: none. Async-signal-safe. */
const struct ftrace_copies *ftrace_copies_find(unsigned long pc);

/* Number @i of those that are used, as above. NULL: there is none. */
const struct ftrace_copies *ftrace_copies_number(u32 i);
u32 ftrace_copies_count(void);		/* goes up only */

#endif /* FTRACE_ENGINE_COPY_FRAMES_H */
