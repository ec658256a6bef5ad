/* SPDX-License-Identifier: MIT */
/*
 * Tracers: what is done with the functions that were chosen, under the kernel's names
 * (kernel/trace/trace.h, struct tracer). A tracer is built on the public API only.
 */
#ifndef FTRACE_TRACERS_TRACER_H
#define FTRACE_TRACERS_TRACER_H

#include "engine/base.h"

struct ftrace_ops;

struct tracer {
	const char *name;
	/* Begin and end. init() returns what register_ftrace_function() would. NULL: nothing to do. */
	int (*init)(void);
	int (*reset)(void);
	/* This process is a new child of fork, in its first traced call. NULL: nothing to do. */
	void (*forked)(void);
	/* Carries the functions chosen (ftrace_set_filter()); NULL: the tracer looks at none. */
	struct ftrace_ops *ops;
};

extern struct tracer tracer_nop;
extern struct tracer tracer_function;
extern struct tracer tracer_function_graph;
extern struct tracer tracer_stack;
extern struct tracer tracer_profile;

/* All tracers, in the order available_tracers shows them; the list ends with NULL. */
extern struct tracer *const tracers[];

/* The tracer called @name, of @len bytes; NULL: none. Async-signal-safe. */
struct tracer *tracer_find(const char *name, unsigned long len);

/* Counted up, by the same, when an object was unloaded: its addresses may come to mean others. */
extern u32 tracer_unloads;

/*
 * Memory for what a tracer finds out, shared with whoever reads it, and there also when this
 * process is killed: bytes [@offset, @offset + @bytes) of the file @suffix of this process, made if
 * it is not there (with @offset 0) and backed by memory now. -errno as ft_is_err() tells. Set by
 * whoever lets a user choose a tracer; -ENODEV when nobody has.
 */
extern void *(*tracer_file)(const char *suffix, u64 offset, size_t bytes);

#endif /* FTRACE_TRACERS_TRACER_H */
