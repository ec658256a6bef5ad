/* SPDX-License-Identifier: MIT */
/*
 * The calls a thread is in, rebuilt from entries and exits.
 *
 * An exit of A closes the topmost open A and everything above it: calls that were left by a tail
 * call, an exception, longjmp, or that a child of vfork had open. They end at that moment too. An
 * exit of a function that is not open is ignored (recording began in the middle of it). A frame
 * marked as reached by a tail call has no exit of its own and is passed over in the search. Where
 * the recording marks calls as left, they end at the mark.
 */
#ifndef TRACE_STACK_H
#define TRACE_STACK_H

#include <stdint.h>

#include "reader/filter.h"

#define TRACE_STACK_MAX	(1u << 22)	/* frames; a program that never returns must end somewhere */
#define TRACE_STACK_HASH	256

enum {
	TRACE_FRAME_HIDDEN = 1,		/* the filter leaves it out */
	TRACE_FRAME_INSIDE = 2,		/* a graph function, or called from one */
	TRACE_FRAME_TAIL = 4,		/* reached by a tail call: its exit never comes */
	TRACE_FRAME_PRINTED = 8,	/* the user's own */
};

struct trace_frame {
	uint64_t start;			/* ticks */
	uint64_t data;			/* the user's own: time in callees, a line number, a node */
	uint32_t site;
	uint32_t flags : 8;
	uint32_t level : 24;		/* shown callers */
};

struct trace_stack {
	struct trace_frame *frames;
	uint32_t depth, size;
	uint32_t untrusted;	/* frames below this were open when records were lost */
	uint32_t counts[TRACE_STACK_HASH];	/* frames by low bits of their site: 0 saves the search */
};

void trace_stack_free(struct trace_stack *stack);

/* Room for one more frame; -ENOMEM, -E2BIG at TRACE_STACK_MAX. Depth stays as it is. */
int trace_stack_grow(struct trace_stack *stack);

/*
 * Flags and level of @frame, which is to be pushed at @depth of its stack, from the one below it,
 * @verdict (trace_verdict() or, with no filter, TRACE_KNOWN) and @filter's depth.
 */
static inline void trace_frame_place(struct trace_frame *frame, uint32_t depth, unsigned verdict,
				     const struct trace_filter *filter)
{
	unsigned flags = 0, level = 0;

	if (depth) {
		level = frame[-1].level + !(frame[-1].flags & TRACE_FRAME_HIDDEN);
		flags = frame[-1].flags & TRACE_FRAME_INSIDE;
	}
	if (verdict & TRACE_GRAPH)
		flags |= TRACE_FRAME_INSIDE;
	if (verdict & TRACE_HIDDEN || (filter->depth && level >= filter->depth) ||
	    (filter->npatterns[TRACE_FILTER_GRAPH] && !(flags & TRACE_FRAME_INSIDE)))
		flags |= TRACE_FRAME_HIDDEN;
	frame->flags = flags;
	frame->level = level;
}

/*
 * Push a call. NULL: no room (-ENOMEM, -E2BIG alike); the caller drops frames with
 * trace_stack_pop() or gives up.
 */
static inline struct trace_frame *trace_stack_push(struct trace_stack *stack, uint32_t site,
						   uint64_t time, unsigned verdict,
						   const struct trace_filter *filter)
{
	struct trace_frame *frame;

	if (stack->depth == stack->size && trace_stack_grow(stack))
		return NULL;
	frame = &stack->frames[stack->depth];
	trace_frame_place(frame, stack->depth, verdict, filter);
	frame->start = time;
	frame->data = 0;
	frame->site = site;
	stack->depth++;
	stack->counts[site % TRACE_STACK_HASH]++;
	return frame;
}

/* trace_stack_find() without a look at counts. */
static inline int64_t trace_stack_search(const struct trace_stack *stack, uint32_t site)
{
	int64_t tail = -1;

	for (int64_t i = (int64_t)stack->depth - 1; i >= 0; i--) {
		if (stack->frames[i].site != site)
			continue;
		if (!(stack->frames[i].flags & TRACE_FRAME_TAIL))
			return i;
		if (tail < 0)
			tail = i;
	}
	return tail;
}

/* Which frame an exit of @site closes: its index, or -1 for none. Frames above it close too. */
static inline int64_t trace_stack_find(const struct trace_stack *stack, uint32_t site)
{
	return stack->counts[site % TRACE_STACK_HASH] ? trace_stack_search(stack, site) : -1;
}

/*
 * Which frame a mark of FTRACE_EXT_LEFT closes, with those above it: the topmost that was not reached
 * by a tail call. -1: none is open.
 */
static inline int64_t trace_stack_left(const struct trace_stack *stack)
{
	int64_t i = (int64_t)stack->depth - 1;

	while (i >= 0 && (stack->frames[i].flags & TRACE_FRAME_TAIL))
		i--;
	return i;
}

/* Remove the topmost frame. */
static inline void trace_stack_pop(struct trace_stack *stack)
{
	stack->depth--;
	stack->counts[stack->frames[stack->depth].site % TRACE_STACK_HASH]--;
	if (stack->untrusted > stack->depth)
		stack->untrusted = stack->depth;
}

/* Records were lost: whatever is open may have ended, and begun anew, unseen. */
static inline void trace_stack_distrust(struct trace_stack *stack)
{
	stack->untrusted = stack->depth;
}

#endif /* TRACE_STACK_H */
