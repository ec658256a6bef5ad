/* SPDX-License-Identifier: MIT */
/* The function graph tracer: a record at entry, a record at return. */
#include <ftrace/fgraph.h>

#include "tracers/tracer.h"

static struct fgraph_ops graph_ops = { .flags = FGRAPH_OPS_FL_RECORD };

static int graph_init(void)
{
	return register_ftrace_graph(&graph_ops);
}

static int graph_reset(void)
{
	return unregister_ftrace_graph(&graph_ops);
}

struct tracer tracer_function_graph = {
	.name = "function_graph",
	.init = graph_init,
	.reset = graph_reset,
	.ops = &graph_ops.ops,
};
