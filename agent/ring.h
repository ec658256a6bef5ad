/* SPDX-License-Identifier: MIT */
/* Between ring.c, which fills rings, and ring-make.c, which makes them. */
#ifndef FTRACE_AGENT_RING_H
#define FTRACE_AGENT_RING_H

#include "agent/agent.h"

#define AGENT_MAX_RINGS	65536u
#define AGENT_RING_BUSY	(-1)
#define AGENT_RING_RESERVE	(1 << 30)	/* beside a tid: of its reserve, not its own */
#define AGENT_RING_EVENTS	(1 << 29)	/* beside a tid: of its events, not its records */
#define AGENT_RING_TID(owner)	((owner) & ~(AGENT_RING_RESERVE | AGENT_RING_EVENTS))

/* What this process knows of one of its rings. */
struct agent_ring {
	struct ftrace_ring *shared;	/* NULL: being made, or could not be */
	/*
	 * Whose it is: tid, with AGENT_RING_RESERVE or not, in the lower half (0: nobody's,
	 * AGENT_RING_BUSY: changing hands), how
	 * often that changed in the upper, so that a claim cannot succeed on what was seen of an
	 * earlier owner.
	 */
	u64 owner;
	struct ftrace_thread *thread;	/* the owner's; tells two owners with one tid apart */
	u64 open;			/* 1 + number of the packet that is open; see packet_is_open() */
	u64 last;			/* time of the last record in completed packets */
	u64 gave_up;			/* 1 + tail, when a wait for it to move was in vain */
	u32 gave_up_snapshot;		/* its number, when a wait for a snapshot was */
};

/* Ring @k, NULL beyond those that were begun. */
struct agent_ring *agent_ring(u32 k);
u32 agent_nrings(void);

/* Make one more ring, for @owner (0, or AGENT_RING_EVENTS: for nobody yet). NULL: no room of any kind, or too many. */
struct agent_ring *agent_ring_make(s32 owner);

/* snapshot.c: the oldest packet of @r is to be taken back: wait, not for long, for a snapshot that is under way. */
void agent_snapshot_wait(struct agent_ring *r);

/* In a child of fork: unmap the parent's, begin anew. */
void agent_rings_forget(void);

#endif /* FTRACE_AGENT_RING_H */
