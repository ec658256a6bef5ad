/* SPDX-License-Identifier: MIT */
/* Calls whose returns are hooked: choosing them by depth and duration, and the graph ops' own data. */
#ifndef FTRACE_ENGINE_GRAPH_H
#define FTRACE_ENGINE_GRAPH_H

#include "base.h"

struct ftrace_thread;

/*
 * Record only calls nested at most @depth deep (0: any depth), or lasting at least @ticks (0: all). A call
 * left out by depth hides what it calls. For function_graph recording; in effect for the
 * next calls.
 */
FTRACE_INTERNAL int ftrace_graph_set_max_depth(u32 depth);
FTRACE_INTERNAL int ftrace_graph_set_threshold(u64 ticks);

#define FTRACE_MAX_DEPTH	1024u		/* -EINVAL beyond */

/* 0: no threshold. */
extern u64 ftrace_threshold;

/* Is either of the two set, so that each call is decided in C? */
bool ftrace_graph_is_choosy(void);

/*
 * Write the record @id_event (site id << 2 | enum ftrace_event) to @t's stream, @t being the calling
 * thread's, for the call at @slot. False: it is lost and counted.
 */
bool ftrace_record_event(struct ftrace_thread *t, unsigned long id_event, unsigned long slot);

/* A record of @t, or a call that would have made some, is lost: tell who takes the records. */
void ftrace_record_lost(struct ftrace_thread *t);

/* A call at @slot begins: is it within the depth? And it ends. Frames left by longjmp fall out. */
bool ftrace_depth_enter(struct ftrace_thread *t, unsigned long slot);
void ftrace_depth_exit(struct ftrace_thread *t, unsigned long slot);

/*
 * A thread's memory for what is kept of calls as long as they are under way (call-memory.c): a stack, in
 * segments, so that what was given stays where it is.
 */
#define CALL_MEMORY_SEGMENTS	14u		/* 1 GiB in all */
struct ftrace_call_memory {
	void *segment[CALL_MEMORY_SEGMENTS];
};

/* @size zeroed bytes, aligned to 16, behind what ends at *@end, which is moved on. NULL: no room. */
void *ftrace_call_memory_get(struct ftrace_call_memory *m, u32 *end, size_t size);
void ftrace_call_memory_free(struct ftrace_call_memory *m);

/* @t's thread is gone: what it kept is freed. */
void ftrace_depth_thread_gone(struct ftrace_thread *t);
void ftrace_graph_thread_gone(struct ftrace_thread *t);

#endif /* FTRACE_ENGINE_GRAPH_H */
