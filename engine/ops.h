/* SPDX-License-Identifier: MIT */
/*
 * The users of sites: function ops and graph ops, and how their wishes become a site's state.
 */
#ifndef FTRACE_ENGINE_OPS_H
#define FTRACE_ENGINE_OPS_H

#include <ftrace/fgraph.h>
#include <ftrace/ftrace.h>

#include "site.h"

struct ftrace_thread;

/* What the library keeps in ftrace_ops.reserved. */
enum {
	FTRACE_OPS_CALL,	/* what trampolines call: ops->func, or a function that assists it */
	FTRACE_OPS_HASH,	/* struct ftrace_hash *: its filters */
	FTRACE_OPS_NEXT,	/* the next registered ops */
	FTRACE_OPS_PIDS,	/* struct ftrace_pids *, for FTRACE_OPS_FL_PID */
	FTRACE_OPS_BIT,		/* for FTRACE_OPS_FL_RECURSION: its bit in ftrace_thread.recursion */
	FTRACE_OPS_TARGET,	/* DIRECT: what is called; REPLACE: what runs instead, 0: func says; */
				/* PROBE: a ftrace_ops_at_t, 0: none */
};

/* A flag of the library's own ops: a replaced function, see thunk.h. Not to be asked for by others. */
#define FTRACE_OPS_FL_REPLACE	(1ul << 16)

/* Flags of the ops that probes ride on. They are no tracers: ftrace_stop() and tracing_on are not for them. */
#define FTRACE_OPS_FL_PROBE	(1ul << 17)
#define FGRAPH_OPS_FL_PROBE	(1ul << 16)

/*
 * A flag of the agent's ops, in fgraph_ops.ops as well: without a site in its filter it wants none, and it is
 * asked about the sites of objects that are loaded later.
 */
#define FTRACE_OPS_FL_CHOOSE	(1ul << 18)
/*
 * GENERAL_REGS is the library's word, not the caller's: seen from the callbacks' code (general.h), as long as they are
 * registered.
 */
#define FTRACE_OPS_FL_SEEN_GENERAL	(1ul << 20)
#define FGRAPH_OPS_FL_SEEN_GENERAL	(1ul << 17)
/* A flag of fgraph_ops.ops: a tracer's, which is told only of threads that ftrace_choose_threads() chose. */
#define FTRACE_OPS_FL_THREADS	(1ul << 19)

extern FTRACE_INTERNAL bool (*ftrace_ops_choose)(struct ftrace_ops *ops, struct dyn_ftrace *site);

/* Ops that change what a program does rather than watch it: no switch for tracers stops them. */
static inline bool ftrace_ops_is_permanent(const struct ftrace_ops *ops)
{
	return ops->flags & (FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_DIRECT);
}

static inline bool ftrace_ops_is_never_silent(const struct ftrace_ops *ops)
{
	return ops->flags & (FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_DIRECT | FTRACE_OPS_FL_PROBE);
}

/* What entryfunc and retfunc get are the first members of these: for who comes with the library. */
struct ftrace_graph_ent_at {
	struct ftrace_graph_ent ent;
	struct dyn_ftrace *site;
};

struct ftrace_graph_ret_at {
	struct ftrace_graph_ret ret;
	struct dyn_ftrace *site;
};

/* What the library keeps in fgraph_ops.reserved. */
enum {
	FGRAPH_OPS_INDEX,	/* its bit in dyn_ftrace.graph, plus one; 0: not registered */
	FGRAPH_OPS_EPOCH,	/* calls that began earlier are none of its business */
};

/*
 * ops->reserved[FTRACE_OPS_CALL]: as an ftrace_func_t, with the site behind its arguments, which
 * a plain callback never looks at.
 */
typedef void (*ftrace_call_t)(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
			      struct pt_regs *regs, struct dyn_ftrace *site);

/* In place of an ops that is @site's only one: what its trampoline is given then. NULL: that ops itself. */
typedef struct ftrace_ops *(*ftrace_ops_at_t)(const struct dyn_ftrace *site);

/* Stub memory, for telling a stub's return address from others. Ends with size 0. */
struct ftrace_region {
	unsigned long lo;
	unsigned long size;
};
#define FTRACE_MAX_REGIONS	512
extern struct ftrace_region ftrace_regions[FTRACE_MAX_REGIONS + 1];

/* Is @ip the return address of a hooked call, in a stub? */
bool ftrace_is_stub_return(unsigned long ip);

/* ---- filter.c ---- */

struct ftrace_hash;		/* the patterns of one ops and the sites they chose */

/* Does @ops want @site, by its filters? */
bool ftrace_ops_wants(struct ftrace_ops *ops, const struct dyn_ftrace *site);
bool ftrace_ops_wants_id(struct ftrace_ops *ops, u32 id);

/* Add @n sites to the filter of @ops, or take them away. 0 or -ENOMEM, or as ftrace_set_filter_ip(). */
FTRACE_INTERNAL int ftrace_filter_sites(struct ftrace_ops *ops, struct dyn_ftrace **sites, u32 n, bool remove);

/* Sites [@first, @first + @n) are new: match them with the filters of @ops. */
void ftrace_filter_new_sites(struct ftrace_ops *ops, u32 first, u32 n);

/* ---- ops.c ---- */

/* May @ops' callback get @regs: are the registers saved that it may change? */
bool ftrace_ops_may_run(const struct ftrace_ops *ops, const struct pt_regs *regs);

/*
 * The part of register_ftrace_function() behind the checks of its argument: for the library's own ops,
 * too, whose kinds of flags others may not use. @what: for log lines.
 */
FTRACE_INTERNAL int ftrace_ops_register(struct ftrace_ops *ops, const char *what);

/*
 * The functions of @ops, which is registered and permanent, are to be those of @changed, a copy of it with another
 * filter: has nobody else one of them who does not go with it? 0, and it is noted; -errno, said. ftrace_lock is held.
 */
FTRACE_INTERNAL int ftrace_ops_move(struct ftrace_ops *ops, struct ftrace_ops *changed, const char *what);

/* Sites [@first, @first + @n) are new, or have come back: the registered ops take those that their filters choose. */
void ftrace_ops_new_sites(u32 first, u32 n);

struct ftrace_pids;
void ftrace_free_pids(struct ftrace_pids *pids);	/* NULL too */

extern struct ft_mutex *ftrace_lock;		/* over objects, ops, sites' state */
extern struct ftrace_ops *ftrace_ops_list;	/* registered, by FTRACE_OPS_NEXT */

static inline struct ftrace_ops *ftrace_ops_next(const struct ftrace_ops *ops)
{
	return __atomic_load_n((struct ftrace_ops **)&ops->reserved[FTRACE_OPS_NEXT],
			       __ATOMIC_ACQUIRE);
}

/* ---- update.c ---- */

/*
 * Bring sites [@first, @first + @n) to what the registered ops ask for now: handlers, flags, on or
 * off. ftrace_lock is held. 0 or -errno (-EPERM, -EFAULT: code that could not be changed).
 */
int ftrace_update_sites(u32 first, u32 n);
int ftrace_update_all(void);

/* ---- graph.c ---- */

extern struct fgraph_ops *fgraph_array[FGRAPH_MAX_OPS];
extern bool ftrace_returns_refused;		/* the program's runtime bears no return hooks */

/*
 * Entry half of ftrace_regs_func() for the graph ops of @site, the call at @slot and its return address
 * @ret: true when the return is hooked.
 */
bool ftrace_graph_enter(struct ftrace_thread *t, struct dyn_ftrace *site, struct pt_regs *regs,
			unsigned long *slot, unsigned long ret);

/* Of the graph ops in @mask, those that are called whether or not tracers are silent. */
u16 ftrace_graph_never_silent(u16 mask);

/*
 * In an entryfunc: the site whose call it is told of, and whether that call's return could be hooked; memory of
 * @size bytes that is there as long as the call is: NULL: no room. Zeroed, aligned to 16.
 */
struct dyn_ftrace *ftrace_graph_site(const struct ftrace_thread *t, bool *may_hook);
void *ftrace_graph_call_alloc(struct ftrace_thread *t, size_t size);

/* In entryfunc and retfunc: a word that the ops keeps for the call, 0 at first. */
void **ftrace_graph_call_word(struct ftrace_thread *t);

/* ---- sync.c ---- */

/* Wait until every thread has left every callback it was in. -EDEADLK from inside one. */
FTRACE_INTERNAL int ftrace_synchronize(void);

#endif /* FTRACE_ENGINE_OPS_H */
