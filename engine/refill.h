/* SPDX-License-Identifier: MIT */
/*
 * The change from one packet of a stream to the next, and the reserve of a stream.
 *
 * A thread @t has up to two streams: of records, whose state is @t itself, and of events (payload.h),
 * t->events. Each, @base, has a reserve for what signal handlers write while they have interrupted a
 * change of @base's packet. @to is either @base or its reserve.
 */
#ifndef FTRACE_ENGINE_REFILL_H
#define FTRACE_ENGINE_REFILL_H

#include "thread.h"

/*
 * Was the code of @t whose @mark was at @frame left, so that it never goes on, now that there is a call
 * at @slot? False: it was interrupted, and goes on later. @nested counts how often it was asked in vain.
 */
bool ftrace_mark_is_left(struct ftrace_thread *t, unsigned long frame, u32 mark, u32 *nested,
			 unsigned long slot);

/* Is somebody changing @to's packet, so that we are a signal handler that has interrupted it? */
bool ftrace_is_refilling(struct ftrace_thread *t, struct ftrace_thread *to, unsigned long slot);

/* @base's reserve, made when it is first needed. NULL: cannot be had. */
struct ftrace_thread *ftrace_reserve_of(struct ftrace_thread *base);

/* Room in @to at tick @now, for the call at @slot. False: there is none, and that is counted. */
bool ftrace_refill(struct ftrace_thread *t, struct ftrace_thread *base, struct ftrace_thread *to,
		   u64 now, unsigned long slot);

#endif /* FTRACE_ENGINE_REFILL_H */
