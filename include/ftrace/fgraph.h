/* SPDX-License-Identifier: MIT */
/*
 * The function graph tracer: callbacks at the entry and at the return of functions.
 *
 * The names are those of the kernel's include/linux/ftrace.h (struct fgraph_ops); registers come
 * as struct pt_regs at both ends.
 *
 * While a call is hooked, the word that held its return address holds the address of its stub, as it
 * holds return_to_handler under the kernel's tracer. Unwinders, exceptions and debuggers go on through it;
 * backtrace() and _Unwind_Backtrace() leave it out, other than in programs linked with libftrace.a. Functions that are seen to read their return address
 * (__builtin_return_address(0)) keep it: their entries can be traced, their returns are not hooked.
 */
#ifndef FTRACE_FGRAPH_H
#define FTRACE_FGRAPH_H

#include <ftrace/ftrace.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A call that begins. */
struct ftrace_graph_ent {
	unsigned long	func;		/* the function: what a callback of the tracer gets as ip */
	unsigned long	parent_ip;	/* where it will return to */
	int		depth;		/* calls of this thread that are hooked around this one */
};

/* A call that ends. */
struct ftrace_graph_ret {
	unsigned long	func;
	unsigned long	parent_ip;
	int		depth;
	unsigned long	overrun;	/* calls of this thread not hooked for want of room so far */
};

struct fgraph_ops;

/*
 * At entry. Return non-zero to get retfunc for this call, zero for not. @regs: every general
 * register as with FTRACE_OPS_FL_SAVE_REGS, put back afterwards, changed ones included; ip must
 * not be changed (use FTRACE_OPS_FL_IPMODIFY).
 */
typedef int (*trace_func_graph_ent_t)(struct ftrace_graph_ent *trace, struct fgraph_ops *gops,
				      struct pt_regs *regs);

/*
 * At return. @regs: the registers the function returns with; its value, integer and vector
 * registers alike (regs_return_value(), regs_get_fp_argument(regs, 0)), may be changed. ip is the
 * address returned to, sp as it will be there. Not called for a frame that an exception or longjmp
 * left.
 */
typedef void (*trace_func_graph_ret_t)(struct ftrace_graph_ret *trace, struct fgraph_ops *gops,
				       struct pt_regs *regs);

enum {
	/* entryfunc and retfunc change no vector register: as FTRACE_OPS_FL_GENERAL_REGS, which see. */
	FGRAPH_OPS_FL_GENERAL_REGS = 1 << 0,
	/*
	 * No callbacks: entries and returns are written to the thread's record stream, the
	 * fastest path there is. For tracers; -ENODEV when nothing takes records.
	 */
	FGRAPH_OPS_FL_RECORD = 1 << 1,
};

/* One user of the graph tracer. Zero what is not used. @ops carries its filter. */
struct fgraph_ops {
	trace_func_graph_ent_t	entryfunc;	/* NULL: every call gets retfunc */
	trace_func_graph_ret_t	retfunc;	/* NULL: entries only */
	struct ftrace_ops	ops;		/* for ftrace_set_filter(&gops->ops, ...); func unused */
	unsigned long		flags;		/* FGRAPH_OPS_FL_* */
#ifdef __cplusplus
	void			*private_data;	/* `private` is a keyword there */
#else
	void			*private;	/* the program's own */
#endif
	void			*reserved[4];	/* the library's own; zero at first */
};

#define FGRAPH_MAX_OPS		16	/* registered at once */
#define FGRAPH_MAX_DATA		64	/* bytes a call can share between its two callbacks, all ops */

/*
 * Start calling @gops at the functions chosen with ftrace_set_filter(&gops->ops, ...) (without a
 * filter: all). Errors as register_ftrace_function(); -ENOSPC: FGRAPH_MAX_OPS are registered.
 * Functions that return twice or read their own return address (setjmp(), vfork(), dlsym() ...),
 * and programs whose runtime moves stacks, get entryfunc only.
 */
int register_ftrace_graph(struct fgraph_ops *gops);

/*
 * Stop calling @gops. When it returns 0 no thread is in its callbacks and none will be, also not
 * for calls that are still under way. Errors as unregister_ftrace_function().
 */
int unregister_ftrace_graph(struct fgraph_ops *gops);

/*
 * Memory that entryfunc and retfunc of one call share. In entryfunc: reserves @size_bytes (zeroed)
 * for this call of @idx's ops and returns it; NULL when FGRAPH_MAX_DATA is used up.
 * Async-signal-safe; only to be called from entryfunc.
 */
void *fgraph_reserve_data(struct fgraph_ops *gops, int size_bytes);

/*
 * In retfunc: what entryfunc reserved for this call, NULL if nothing. @size_bytes (may be NULL)
 * gets its size.
 */
void *fgraph_retrieve_data(struct fgraph_ops *gops, int *size_bytes);

#ifdef __cplusplus
}
#endif
#endif /* FTRACE_FGRAPH_H */
