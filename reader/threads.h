/* SPDX-License-Identifier: MIT */
/* A table of what a command keeps for each thread of each process. */
#ifndef TRACE_THREADS_H
#define TRACE_THREADS_H

#include <stddef.h>
#include <stdint.h>

#include "reader/stack.h"

struct trace_process;

struct trace_thread {
	const struct trace_process *process;
	uint32_t tid;
	struct trace_stack stack;
	uint64_t user[2];	/* the user's own */
};

struct trace_threads {
	struct trace_thread **slots;	/* open addressing, a power of two, at most half full */
	size_t size, count;
	struct trace_thread *last;	/* asked for last */
};

struct trace_thread *trace_thread_find(struct trace_threads *threads,
				       const struct trace_process *process, uint32_t tid);

/* The thread's state, zeros when it is new. NULL: no memory. It stays where it is. */
static inline struct trace_thread *trace_thread_get(struct trace_threads *threads,
						    const struct trace_process *process,
						    uint32_t tid)
{
	struct trace_thread *last = threads->last;

	if (last && last->tid == tid && last->process == process)
		return last;
	return trace_thread_find(threads, process, tid);
}

void trace_threads_free(struct trace_threads *threads);

#endif /* TRACE_THREADS_H */
