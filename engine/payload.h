/* SPDX-License-Identifier: MIT */
/*
 * Events with payload, in a thread's second stream (<ftrace/trace-event.h>).
 *
 * Everything here may be interrupted at any instruction by a signal handler that writes events itself
 * and perhaps never returns. An event's place is taken by its header alone, exchanged for the unwritten
 * word as records are (record.c); its payload is filled in behind that, and counts when the header
 * is exchanged once more, for one without FTRACE_EVENT_INCOMPLETE.
 */
#ifndef FTRACE_ENGINE_PAYLOAD_H
#define FTRACE_ENGINE_PAYLOAD_H

#include <ftrace/trace-event.h>

#include "thread.h"

#define FTRACE_PAYLOAD_MAX	4000u		/* words of one event */

/* An event that is being written. On the stack of who writes it. */
struct ftrace_payload {
	u64 *data;			/* the payload: words of them, to be filled */
	u64 header;
	struct ftrace_thread *to;
	struct ftrace_pending *pending;
	u32 words;
	u32 mark;
};

/*
 * Begin an event of this thread, for the call at @slot (its stack pointer), with room for @words words.
 * False: it is lost, and counted.
 */
FTRACE_INTERNAL bool ftrace_payload_begin(struct ftrace_payload *p, u32 id, u32 words,
					  unsigned long slot);

/* It is complete: @bytes of its payload count. */
FTRACE_INTERNAL void ftrace_payload_end(struct ftrace_payload *p, u32 bytes);

/*
 * For who takes the streams: is an event in the middle of being written in [@lo, @hi), by a writer that may
 * still go on? Then that memory must not be used for a new packet. @t: a state with FTRACE_THREAD_EVENTS.
 */
FTRACE_INTERNAL bool ftrace_payload_is_pending(const struct ftrace_thread *t, const void *lo,
					       const void *hi);

#endif /* FTRACE_ENGINE_PAYLOAD_H */
