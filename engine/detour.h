/* SPDX-License-Identifier: MIT */
/*
 * Probes at instructions that are no site. A detour (arch-site.h) calls the handlers, runs copies of the
 * instructions and goes back. It is reached by a jump over the probed instruction and as many behind it as the jump
 * covers, where nothing else leads into them; or by a breakpoint at that instruction (trap.h).
 *
 * A point may have two detours: one whose copy stands for all that a jump covers, one for the one instruction,
 * used while another probe is among the others. Detours are never freed while their object is loaded: who is inside of
 * one when its probe goes finds it as it was.
 */
#ifndef FTRACE_ENGINE_DETOUR_H
#define FTRACE_ENGINE_DETOUR_H

#include "base.h"
#include "plan.h"

struct probe_place;
struct probe_point;
struct unwind_objects;

#define FTRACE_DETOUR_SIZE	256u
#define FTRACE_DETOUR_SLOTS	256u			/* in a chunk */
#define FTRACE_DETOUR_DATA	(FTRACE_DETOUR_SLOTS * FTRACE_DETOUR_SIZE)	/* from a detour to its data */

#define DETOUR_MAX_INSNS	6u

struct probe_detour {
	void (*call)(void);		/* what its code calls; first: see arch_detour_write() */
	struct probe_point *point;
	unsigned long addr;
	u8 orig[FTRACE_MOVED_MAX];	/* what stood at @addr */
	u8 moved;			/* bytes of it that the copy stands for */
	u8 first;			/* of these: of the probed instruction */
	bool branches;			/* that one is emulated for who wants to be told behind it */
	bool again;			/* there are copies for post_handlers */
	u8 ninsns;
	struct {
		u8 original, copy;	/* where each of them is, from @addr and from the copy's beginning */
	} insn[DETOUR_MAX_INSNS];
	struct probe_detour *next;	/* of the free ones */
};

static inline unsigned long detour_code(const struct probe_detour *d)
{
	return (unsigned long)d - FTRACE_DETOUR_DATA;
}

/* What stands at a point's address. */
enum detour_placed { DETOUR_NONE, DETOUR_BREAKPOINT, DETOUR_JUMP };

/* ---- detour.c ---- */

/* Make the detours of @p, which is new, at @place. 0 or -errno, logged as @what's. */
int detours_make(struct probe_point *p, const struct probe_place *place, const char *what);

/* @p's object is unloaded: its detours may be made anew for others. */
void detours_gone(struct probe_point *p);

/*
 * The detour that code at @pc is of, NULL: none. Who is in it will go back to the end of its first instruction, or of
 * the last: code there must be as it is now.
 */
struct probe_detour *detour_at(unsigned long pc);

/* Does somebody at @pc, in a detour, go on between @lo and @hi? */
static inline bool detour_leads_between(unsigned long pc, unsigned long lo, unsigned long hi)
{
	const struct probe_detour *d = detour_at(pc);

	return d && ((d->addr + d->moved > lo && d->addr + d->moved < hi) ||
		     (d->addr + d->first > lo && d->addr + d->first < hi));
}

/* ---- detour-place.c ---- */

/* Where the instruction at @addr is now that a jump stands over it: in the jump's detour; @addr: none does. */
unsigned long detour_covers(unsigned long addr);

/* Bring code to what the probes of @n points without a site ask for. 0 or -errno. */
int detours_update(struct probe_point **points, u32 n);

/* ---- detour-text.c ---- */

/* @len bytes of text at @addr as they were without any probe or traced function. */
void detour_read_text(unsigned long addr, u8 *buf, size_t len);

/*
 * Look at the code at @place->addr: the rest of @place. ftrace_lock is held. 0 or -errno, logged.
 */
int detour_look(struct probe_place *place, const char *what);

/* Objects were unloaded: what is known of their text is forgotten. ftrace_lock is held. */
void detour_text_gone(void);

/* ---- detour-frames.c: call frame information ---- */

/* Bytes for a chunk's: the sorted table, what it leads to, an end. */
#define DETOUR_FRAME_SIZE	768u		/* of one detour */
#define DETOUR_FRAMES_TABLE	(FTRACE_DETOUR_SLOTS * 16u + 16u)
#define DETOUR_FRAMES_SIZE	(DETOUR_FRAMES_TABLE + FTRACE_DETOUR_SLOTS * DETOUR_FRAME_SIZE + 16u)

/* For the chunk of detours at @start: nothing is said of any yet. @room: DETOUR_FRAMES_SIZE bytes, zeroed. */
void detour_frames_begin(u8 *room, unsigned long start);

/*
 * What the object's unwind table says of the instructions, said of detour @slot that stands for them; @rest NULL: there
 * are no copies for post_handlers. Nobody is in that detour.
 */
void detour_frames_put(u8 *room, unsigned long start, u32 slot, const struct unwind_objects *objects,
		       unsigned long addr, const struct probe_copy *all, const struct probe_copy *first,
		       const struct probe_copy *rest);

#endif /* FTRACE_ENGINE_DETOUR_H */
