/* SPDX-License-Identifier: MIT */
/* Graph ops: entries, returns, what a call shares between them. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "selftest-arch.h"

#include "tracers/selftest/selftest.h"
#include "tracers/selftest/targets.h"

struct graph {
	struct fgraph_ops gops;
	long entries, returns;
	int depth, deepest;		/* of the last call, of all */
	long bad_data, bad_depth;
	unsigned long parent;		/* at entry */
	bool parents_differ;		/* ... and at return */
	unsigned long last[4];		/* functions that returned last, the last first */
	bool refuse;			/* entryfunc returns 0 */
	void (*at_return)(struct graph *g, struct pt_regs *regs);
};

struct shared {
	unsigned long func;
	int depth;
};

static int entry(struct ftrace_graph_ent *ent, struct fgraph_ops *gops, struct pt_regs *regs)
{
	struct graph *g = gops->private;
	struct shared *shared = fgraph_reserve_data(gops, sizeof(*shared));

	g->entries++;
	g->depth = ent->depth;
	g->parent = ent->parent_ip;
	if (ent->depth > g->deepest)
		g->deepest = ent->depth;
	if (!shared || shared->func || shared->depth) {
		g->bad_data++;
	} else {
		shared->func = ent->func;
		shared->depth = ent->depth;
	}
	return !g->refuse;
}

static void leave(struct ftrace_graph_ret *ret, struct fgraph_ops *gops, struct pt_regs *regs)
{
	struct graph *g = gops->private;
	int size = 0;
	struct shared *shared = fgraph_retrieve_data(gops, &size);

	g->returns++;
	if (!shared || size != sizeof(*shared) || shared->func != ret->func)
		g->bad_data++;
	else if (shared->depth != ret->depth)
		g->bad_depth++;
	if (g->parent != ret->parent_ip)
		g->parents_differ = true;
	memmove(&g->last[1], &g->last[0], sizeof(g->last) - sizeof(g->last[0]));
	g->last[0] = ret->func;
	if (g->at_return)
		g->at_return(g, regs);
}

static void graph_init(struct graph *g, const char *filter)
{
	memset(g, 0, sizeof(*g));
	g->gops.entryfunc = entry;
	g->gops.retfunc = leave;
	g->gops.private = g;
	if (filter)
		choose(&g->gops.ops, filter, 1);
}

static void graph_start(struct graph *g)
{
	need("register_ftrace_graph", register_ftrace_graph(&g->gops));
}

static void graph_stop(struct graph *g)
{
	need("unregister_ftrace_graph", unregister_ftrace_graph(&g->gops));
	need("ftrace_free_filter", ftrace_free_filter(&g->gops.ops));
	expect("calls whose two ends saw different data", g->bad_data, 0);
	expect("calls whose two ends saw different depths", g->bad_depth, 0);
}

static void graph_counts(void)
{
	struct graph g;

	graph_init(&g, "target_outer target_inner target_one");
	graph_start(&g);
	expect("entries while idle", g.entries, 0);
	target_one();
	expect("entries after one call", g.entries, 1);
	expect("returns after one call", g.returns, 1);
	expect("its depth", g.depth, 0);
	expect("parents that differ between entry and return", g.parents_differ, 0);
	expect("10 calls and their sum", target_outer(10), 55);
	expect("entries of 1 + 10 more calls", g.entries, 12);
	expect("returns of 1 + 10 more calls", g.returns, 12);
	expect("the depth of those called", g.depth, 1);
	expect_hex("the last to return", g.last[0], site_of((void *)target_outer));
	expect_hex("the last but one", g.last[1], site_of((void *)target_inner));
	graph_stop(&g);
	target_outer(10);
	expect("entries after the end", g.entries, 12);
}

static void graph_depth(void)
{
	struct graph g;

	graph_init(&g, "target_recursive");
	graph_start(&g);
	expect("100 calls deep", target_recursive(100), 100);
	expect("entries", g.entries, 101);
	expect("returns", g.returns, 101);
	expect("the deepest", g.deepest, 100);
	/* More than are kept track of: they run all the same. */
	expect("10000 calls deep", target_recursive(10000), 10000);
	expect("returns as many as hooked entries", g.returns <= g.entries, 1);
	target_recursive(0);
	expect("the depth afterwards", g.depth, 0);
	graph_stop(&g);
}

static void add_1000(struct graph *g, struct pt_regs *regs)
{
	regs_set_return_value(regs, regs_return_value(regs) + 1000);
}

static void add_half(struct graph *g, struct pt_regs *regs)
{
	regs_set_fp_argument(regs, 0, regs_get_fp_argument(regs, 0) + 0.5);
}

static void graph_values(void)
{
	struct target_pair pair;
	struct graph g;

	graph_init(&g, "target_product");
	g.at_return = add_1000;
	graph_start(&g);
	expect("6 * 7, and 1000 from the callback", target_product(6, 7), 1042);
	graph_stop(&g);
	expect("6 * 7 again", target_product(6, 7), 42);

	graph_init(&g, "target_scale target_swap");
	g.at_return = add_half;
	graph_start(&g);
	expect("6 * 7 + 1, and 0.5 from the callback", (long)(target_scale(6, 7) * 1000), 43500);
	pair = target_swap(1, 2);
	/* Where no argument comes in a register, such a pair is returned in memory. */
	expect("first of a pair returned, and 0.5", (long)(pair.a * 1000),
	       ARCH_SELFTEST_PAIR_IN_REGISTERS ? 2500 : 2000);
	expect("second of a pair returned", (long)(pair.b * 1000), 1000);
	graph_stop(&g);
}

static void graph_refused(void)
{
	struct graph g;

	graph_init(&g, "target_outer target_inner");
	g.refuse = true;
	graph_start(&g);
	target_outer(3);
	expect("entries", g.entries, 4);
	expect("returns nobody asked for", g.returns, 0);
	graph_stop(&g);
}

/* Several graph ops: each call is told to those that chose it, each with data of its own. */
static void graph_several(void)
{
	struct graph a, b, c;

	graph_init(&a, "target_outer");
	graph_init(&b, "target_inner");
	graph_init(&c, NULL);
	graph_start(&a);
	graph_start(&b);
	graph_start(&c);
	expect("4 calls and their sum", target_outer(4), 10);
	expect("returns, the outer one", a.returns, 1);
	expect("returns, the inner one", b.returns, 4);
	expect("returns, all", c.returns, 5);
	graph_stop(&b);
	target_outer(4);
	expect("returns, the inner one ended", b.returns, 4);
	expect("returns, the outer one", a.returns, 2);
	expect("returns, all", c.returns, 10);
	graph_stop(&c);
	target_outer(4);
	expect("returns, all ended", c.returns, 10);
	expect("returns, the outer one alone", a.returns, 3);
	graph_stop(&a);
}

/* Function ops and graph ops on one function. */
static void graph_and_function(unsigned long flags)
{
	struct graph g;
	struct probe p;

	graph_init(&g, "target_outer target_inner");
	probe_init(&p, "target_inner", flags);
	graph_start(&g);
	probe_start(&p);
	expect("5 calls and their sum", target_outer(5), 15);
	expect("returns", g.returns, 6);
	expect("calls", probe_count(&p), 5);
	graph_stop(&g);
	target_outer(5);
	expect("returns, graph ended", g.returns, 6);
	expect("calls, graph ended", probe_count(&p), 10);
	graph_init(&g, "target_outer target_inner");
	graph_start(&g);
	probe_stop(&p);
	target_outer(5);
	expect("returns, function ended", g.returns, 6);
	expect("calls, function ended", probe_count(&p), 10);
	graph_stop(&g);
}

static void graph_function(void)
{
	graph_and_function(0);
	graph_and_function(FTRACE_OPS_FL_SAVE_REGS);
}

static void to_product(struct probe *p, struct pt_regs *regs)
{
	instruction_pointer_set(regs, (unsigned long)target_product);
}

/* A function that is replaced, and its return hooked. */
static void graph_ipmodify(void)
{
	struct graph g;
	struct probe p;

	graph_init(&g, "target_sum");
	probe_init(&p, "target_sum", FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY);
	p.then = to_product;
	probe_start(&p);
	graph_start(&g);
	g.at_return = add_1000;
	expect("the replacement's result, and 1000", target_sum(6, 7, 0, 0, 0, 0, 0, 0), 1042);
	expect("entries", g.entries, 1);
	expect("returns", g.returns, 1);
	graph_stop(&g);
	probe_stop(&p);
}

/* Three functions, one return: all three end there, the innermost first. */
static void tail_calls(void)
{
	unsigned long parent;
	struct graph g;
	struct probe p;

	graph_init(&g, "target_tail_*");
	probe_init(&p, "target_tail_third", 0);
	probe_start(&p);
	expect("3 tail calls, not hooked", target_tail_first(10), 13);
	parent = p.parent;
	graph_start(&g);
	expect("3 tail calls", target_tail_first(10), 13);
	expect("entries", g.entries, 3);
	expect("returns", g.returns, 3);
	expect("parents that differ between entry and return", g.parents_differ, 0);
	expect_hex("the first to return", g.last[2], site_of((void *)target_tail_third));
	expect_hex("the second", g.last[1], site_of((void *)target_tail_second));
	expect_hex("the last", g.last[0], site_of((void *)target_tail_first));
	/* It is not told of the stub that stands in the return address's place. */
	if (parent < (unsigned long)tail_calls || parent > (unsigned long)tail_calls + 4096)
		selftest_fail("the parent of a function reached by tail calls: expected in the "
			      "test at %p, got %#lx", (void *)tail_calls, parent);
	if (p.parent < (unsigned long)tail_calls || p.parent > (unsigned long)tail_calls + 4096)
		selftest_fail("the same with the return hooked: expected in the test at %p, "
			      "got %#lx", (void *)tail_calls, p.parent);
	graph_stop(&g);
	probe_stop(&p);
}

/* Frames left by longjmp() never return; the calls around them do, once each. */
static void left_frames(void)
{
	struct graph g;
	jmp_buf env;

	graph_init(&g, "target_jumper target_jumps target_inner target_outer");
	graph_start(&g);
	for (volatile int i = 0; i < 1000; i++)
		if (!setjmp(env))
			target_jumper(&env);
	expect("entries", g.entries, 3000);
	expect("returns", g.returns, 1000);
	target_outer(1);
	expect("returns of two calls more", g.returns, 1002);
	expect("the depth of the inner one", g.depth, 1);
	graph_stop(&g);
}

/* A signal handler leaves the callback it has interrupted: the next call is reported again. */
static sigjmp_buf signal_env;
static bool raise_now;

static void jump_away(int sig)
{
	siglongjmp(signal_env, 1);
}

static int raising_entry(struct ftrace_graph_ent *ent, struct fgraph_ops *gops,
			 struct pt_regs *regs)
{
	if (raise_now)
		raise(SIGUSR1);
	return entry(ent, gops, regs);
}

static void raise_at_return(struct graph *g, struct pt_regs *regs)
{
	if (raise_now)
		raise(SIGUSR1);
}

static void left_callbacks(void)
{
	struct graph g;

	signal(SIGUSR1, jump_away);
	graph_init(&g, "target_outer target_inner");
	g.gops.entryfunc = raising_entry;
	graph_start(&g);
	raise_now = true;
	if (!sigsetjmp(signal_env, 1))
		target_outer(1);
	raise_now = false;
	expect("entries that were left", g.entries, 0);
	expect("3 calls and their sum", target_outer(3), 6);
	expect("entries afterwards", g.entries, 4);
	expect("returns afterwards", g.returns, 4);
	g.gops.entryfunc = entry;
	g.at_return = raise_at_return;
	raise_now = true;
	if (!sigsetjmp(signal_env, 1))
		target_outer(1);
	raise_now = false;
	expect("entries until a return was left", g.entries, 6);
	expect("3 calls and their sum again", target_outer(3), 6);
	expect("entries at last", g.entries, 10);
	expect("the depth of the inner one", g.depth, 1);
	graph_stop(&g);
}

static void *graph_thread(void *arg)
{
	for (int i = 0; i < 200; i++)
		if (target_outer(10) != 55)
			return arg;
	return NULL;
}

/* Ended while a call is under way: that call still returns where it should. */
static struct graph *ending;

static long end_it(long n)
{
	graph_stop(ending);
	return n;
}

static void graph_ends_inside(void)
{
	struct graph g, other;

	graph_init(&g, "target_calls");
	graph_init(&other, "target_calls");
	graph_start(&other);
	graph_start(&g);
	ending = &g;
	expect("the call's result", target_calls(end_it, 17), 17);
	expect("entries", g.entries, 1);
	expect("returns of an ops that ended before", g.returns, 0);
	expect("returns of the other ops", other.returns, 1);
	graph_stop(&other);

	graph_init(&g, "target_calls");
	graph_start(&g);
	expect("the call's result, nobody else there", target_calls(end_it, 18), 18);
	expect("returns of an ops that ended before", g.returns, 0);
}

static long thread_entries, thread_returns;

static int count_entry(struct ftrace_graph_ent *ent, struct fgraph_ops *gops,
		       struct pt_regs *regs)
{
	__atomic_fetch_add(&thread_entries, 1, __ATOMIC_RELAXED);
	return 1;
}

static void count_return(struct ftrace_graph_ret *ret, struct fgraph_ops *gops,
			 struct pt_regs *regs)
{
	__atomic_fetch_add(&thread_returns, 1, __ATOMIC_RELAXED);
}

static void graph_threads(void)
{
	struct fgraph_ops gops = { .entryfunc = count_entry, .retfunc = count_return };
	pthread_t thread[4];
	int wrong = 0;

	choose(&gops.ops, "target_outer target_inner", 1);
	need("register_ftrace_graph", register_ftrace_graph(&gops));
	for (int i = 0; i < 4; i++)
		if (pthread_create(&thread[i], NULL, graph_thread, &gops))
			selftest_give_up("pthread_create failed");
	for (int i = 0; i < 4; i++) {
		void *bad;

		pthread_join(thread[i], &bad);
		wrong += bad != NULL;
	}
	need("unregister_ftrace_graph", unregister_ftrace_graph(&gops));
	expect("threads with a wrong result", wrong, 0);
	expect("entries of 4 threads, 200 times 1 + 10 calls each", thread_entries, 8800);
	expect("returns", thread_returns, 8800);
}

const struct selftest selftest_graph[] = {
	{ "tracer function_graph", graph_counts, 20 },
	{ "function_graph depth", graph_depth, 20 },
	{ "function_graph return values", graph_values, 20 },
	{ "function_graph entries only", graph_refused, 20 },
	{ "function_graph several ops", graph_several, 20 },
	{ "function_graph and function on one function", graph_function, 20 },
	{ "function_graph of a replaced function", graph_ipmodify, 20 },
	{ "function_graph tail calls", tail_calls, 20 },
	{ "function_graph frames left by longjmp", left_frames, 20 },
	{ "function_graph callbacks left by siglongjmp", left_callbacks, 20 },
	{ "function_graph ended inside a call", graph_ends_inside, 20 },
	{ "function_graph threads", graph_threads, 20 },
	{ NULL, NULL, 0 }
};
