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
 * A call at @slot finds a callback under way in @t. True: that one was left, and the one that
 * @frame begins takes its place.
 */
long ftrace_callback_replace(struct ftrace_thread *t, unsigned long slot, unsigned long frame);

/*
 * Is the calling thread in a callback? @frame: of the library's function that was called; an older
 * callback's, further down the same stack, was left.
 */
bool ftrace_in_callback(unsigned long frame);

/*
 * Begin callbacks for the call at @slot; @frame is the caller's own. Returns what
 * ftrace_callback_end() is to be given: whether this is inside another callback.
 */
static inline bool ftrace_callback_begin(struct ftrace_thread *t, unsigned long slot,
					 unsigned long frame)
{
	bool nested = t->callback;

	if (unlikely(nested))
		nested = !ftrace_callback_replace(t, slot, frame);
	else
		WRITE_ONCE(t->callback, frame);
	barrier();		/* as in CALLBACK_BEGIN: pairs with ftrace_synchronize() */
	return nested;
}

static inline void ftrace_callback_end(struct ftrace_thread *t, bool nested)
{
	barrier();
	if (!nested)
		WRITE_ONCE(t->callback, 0);
}

#endif /* FTRACE_ENGINE_CALLBACK_H */
