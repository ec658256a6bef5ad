/* SPDX-License-Identifier: MIT */
/*
 * The stubs are the library's. STUBS_OPS in the environment says what is registered: "graph" (the
 * default), "function", "regs", or "all" three.
 */
#include "stubs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ftrace/fgraph.h>
#include <ftrace/ftrace.h>

long stubs_entered, stubs_returned;
const bool stubs_counted = true;
bool stubs_hook;

static void count(long *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static int entered(struct ftrace_graph_ent *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	(void)trace;
	(void)gops;
	(void)regs;
	count(&stubs_entered);
	return 1;
}

static void returned(struct ftrace_graph_ret *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	(void)trace;
	(void)gops;
	(void)regs;
	count(&stubs_returned);
}

static void called(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		   struct pt_regs *regs)
{
	(void)ip;
	(void)parent_ip;
	(void)op;
	(void)regs;
	count(&stubs_entered);
}

static void check(int err)
{
	if (!err)
		return;
	fprintf(stderr, "registering: %s\n", strerror(-err));
	exit(99);
}

void stubs_start(void)
{
	static struct fgraph_ops graph = {
		.entryfunc = entered,
		.retfunc = returned,
	};
	static struct ftrace_ops function = {.func = called};
	static struct ftrace_ops regs = {.func = called, .flags = FTRACE_OPS_FL_SAVE_REGS};
	const char *ops = getenv("STUBS_OPS");
	bool all;

	if (!ops)
		ops = "graph";
	all = !strcmp(ops, "all");
	stubs_hook = all || !strcmp(ops, "graph");
	if (stubs_hook)
		check(register_ftrace_graph(&graph));
	if (all || !strcmp(ops, "function"))
		check(register_ftrace_function(&function));
	if (all || !strcmp(ops, "regs"))
		check(register_ftrace_function(&regs));
	stubs_look();
}
