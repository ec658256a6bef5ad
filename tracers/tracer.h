/* SPDX-License-Identifier: MIT */
/*
 * Tracers: what is done with the functions that were chosen, under the kernel's names
 * (kernel/trace/trace.h, struct tracer). A tracer is built on the public API only.
 */
#ifndef FTRACE_TRACERS_TRACER_H
#define FTRACE_TRACERS_TRACER_H

struct ftrace_ops;

struct tracer {
	const char *name;
	/* Begin and end. init() returns what register_ftrace_function() would. NULL: nothing to do. */
	int (*init)(void);
	int (*reset)(void);
	/* Carries the functions chosen (ftrace_set_filter()); NULL: the tracer looks at none. */
	struct ftrace_ops *ops;
};

extern struct tracer tracer_nop;
extern struct tracer tracer_function;
extern struct tracer tracer_function_graph;

/* All tracers, in the order available_tracers shows them; the list ends with NULL. */
extern struct tracer *const tracers[];

/* The tracer called @name, of @len bytes; NULL: none. Async-signal-safe. */
struct tracer *tracer_find(const char *name, unsigned long len);

#endif /* FTRACE_TRACERS_TRACER_H */
