/* SPDX-License-Identifier: MIT */
#include "stubs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ftrace/fgraph.h>

long stubs_entered, stubs_returned;
const bool stubs_counted = true;

static int entered(struct ftrace_graph_ent *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	(void)trace;
	(void)gops;
	(void)regs;
	__atomic_fetch_add(&stubs_entered, 1, __ATOMIC_RELAXED);
	return 1;
}

static void returned(struct ftrace_graph_ret *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	(void)trace;
	(void)gops;
	(void)regs;
	__atomic_fetch_add(&stubs_returned, 1, __ATOMIC_RELAXED);
}

void stubs_start(void)
{
	static struct fgraph_ops gops;
	int err;

	gops.entryfunc = entered;
	gops.retfunc = returned;
	gops.flags = FGRAPH_OPS_FL_GENERAL_REGS;
	err = register_ftrace_graph(&gops);
	if (err) {
		fprintf(stderr, "register_ftrace_graph: %s\n", strerror(-err));
		exit(99);
	}
	stubs_look();
}
