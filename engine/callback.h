/* SPDX-License-Identifier: MIT */
/*
 * Marking a thread as being in a callback, from C. A signal handler may leave a callback by
 * siglongjmp(): the mark would stay for ever, and with it whoever waits for callbacks to end. The
 * frame that set it tells: a call above it on the same stack says that it was left.
 */
#ifndef FTRACE_ENGINE_CALLBACK_H
#define FTRACE_ENGINE_CALLBACK_H

#include "thread.h"

static inline bool ftrace_is_on_stack(const struct ftrace_thread *t, unsigned long addr)
{
	return addr - t->stack_lo < t->stack_size;
}

/* Was the code whose frame is at @frame left, now that a call at @slot happens? */
static inline bool ftrace_frame_is_left(const struct ftrace_thread *t, unsigned long frame,
					unsigned long slot)
{
	return slot > frame && ftrace_is_on_stack(t, slot) && ftrace_is_on_stack(t, frame);
}

/*
 * Begin callbacks for the call at @slot; @frame is the caller's own. Returns what
 * ftrace_callback_end() is to be given: whether this is inside another callback.
 */
static inline bool ftrace_callback_begin(struct ftrace_thread *t, unsigned long slot,
					 unsigned long frame)
{
	bool nested = t->in_callback;

	if (unlikely(nested) && t->callback_frame &&
	    ftrace_frame_is_left(t, t->callback_frame, slot)) {
		t->recursion = 0;
		nested = false;
	}
	if (!nested)
		WRITE_ONCE(t->callback_frame, frame);
	barrier();
	WRITE_ONCE(t->in_callback, 1);
	barrier();		/* as in CALLBACK_BEGIN: pairs with ftrace_synchronize() */
	return nested;
}

static inline void ftrace_callback_end(struct ftrace_thread *t, bool nested)
{
	barrier();
	if (nested)
		return;
	WRITE_ONCE(t->in_callback, 0);
	barrier();
	WRITE_ONCE(t->callback_frame, 0);
}

#endif /* FTRACE_ENGINE_CALLBACK_H */
