/* SPDX-License-Identifier: MIT */
/*
 * The profile tracer: calls and times of each function, added up in memory; no records.
 *
 * Each thread adds to a table of its own (tracers/profile-table.c), so nothing is shared between
 * processors. The calls under way are a list through the data that graph ops keep for each: an
 * entry links itself to its caller, a return hands its time to it and goes back to it. What an
 * exception or longjmp left in between is told by its depth: such a call is counted, without time.
 */
#include <ftrace/fgraph.h>

#include "arch.h"
#include "engine/ops.h"
#include "tracers/profile.h"
#include "tracers/tracer.h"

struct profile_call {
	struct ftrace_profile_entry *entry;	/* NULL: ended, or given up */
	struct profile_call *caller;
	u64 start, children;			/* ticks */
	int depth;
	bool outermost;				/* no recursion: its time is its function's total */
};

static __thread struct profile_call *innermost;
static __thread u64 overrun;	/* of this thread, as far as counted */

/*
 * Is there a call of @key's function around the one at @depth? The one that was the outermost last
 * may have ended since. It says so, or its place was given to another call: then that says what
 * it is. No counting, which a handler that jumps away would put out of step.
 */
static bool is_recursion(const struct profile_key *key, int depth)
{
	const struct profile_call *outer = key->outermost;

	return outer && outer->entry == key->entry && outer->depth < depth;
}

static int profile_entry(struct ftrace_graph_ent *ent, struct fgraph_ops *gops,
			 struct pt_regs *regs)
{
	struct profile_table *table = profile_table();
	struct profile_call *caller = innermost, *c;
	struct profile_key *key;

	if (unlikely(!table)) {
		profile_missed();
		return 0;
	}
	if (unlikely(table->unloads != READ_ONCE(tracer_unloads)))
		profile_look_through(table);
	/* Those that were left. Before their memory is reserved again. */
	for (; caller && caller->depth >= ent->depth; caller = caller->caller)
		caller->entry = NULL;
	innermost = caller;
	key = profile_find(table, ent->func);
	c = fgraph_reserve_data(gops, sizeof(*c));
	if (unlikely(!key || !c)) {
		table->shared->unfollowed++;
		return 0;
	}
	c->caller = caller;
	c->depth = ent->depth;
	c->entry = key->entry;
	if (!is_recursion(key, ent->depth)) {
		key->outermost = c;
		c->outermost = true;
	}
	barrier();
	innermost = c;
	key->entry->calls++;
	c->start = arch_ticks();
	return 1;
}

static void profile_return(struct ftrace_graph_ret *ret, struct fgraph_ops *gops,
			   struct pt_regs *regs)
{
	u64 now = arch_ticks(), time;
	struct profile_call *c = fgraph_retrieve_data(gops, NULL), *inner = innermost;
	struct ftrace_profile_entry *entry;

	/* Given up: a coroutine, whose calls another stack's seemed to have ended. */
	if (unlikely(!c || !c->entry))
		return;
	if (unlikely(ret->overrun != overrun) && profile_mine) {
		profile_mine->shared->unfollowed += ret->overrun - overrun;
		overrun = ret->overrun;
	}
	for (; inner && inner != c; inner = inner->caller)
		inner->entry = NULL;
	innermost = c->caller;
	entry = c->entry;
	c->entry = NULL;
	time = now - c->start;
	entry->timed++;
	entry->sum += time;
	entry->self += time - (c->children < time ? c->children : time);
	if (time < entry->min)
		entry->min = time;
	if (time > entry->max)
		entry->max = time;
	if (c->outermost)
		entry->total += time;
	if (innermost)
		innermost->children += time;
}

static struct fgraph_ops profile_gops = {
	.entryfunc = profile_entry,
	.retfunc = profile_return,
	.flags = FGRAPH_OPS_FL_GENERAL_REGS,
	.ops = { .flags = FTRACE_OPS_FL_THREADS },
};

static int profile_init(void)
{
	return register_ftrace_graph(&profile_gops);
}

static int profile_reset(void)
{
	return unregister_ftrace_graph(&profile_gops);
}

/* In a child of fork the tables are the parent's, and so are the calls under way. */
static void profile_forked(void)
{
	innermost = NULL;
	overrun = 0;
	profile_forget();
}

struct tracer tracer_profile = {
	.name = "profile",
	.init = profile_init,
	.reset = profile_reset,
	.forked = profile_forked,
	.ops = &profile_gops.ops,
};
