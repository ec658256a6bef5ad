/* SPDX-License-Identifier: MIT */
/* max_graph_depth, tracing_thresh. */
#include "agent/agent.h"
#include "agent/control.h"
#include "engine/graph.h"

static u32 depth;
static u64 threshold;	/* ticks */

static int max_graph_depth_write(const char *value, size_t len, enum control_mode mode)
{
	u64 n;

	if (control_number(value, len, FTRACE_MAX_DEPTH, &n))
		return ft_log(-EINVAL, "max_graph_depth: not a number from 0 (no limit) to %u",
			      FTRACE_MAX_DEPTH);
	depth = (u32)n;
	return ftrace_graph_set_max_depth(depth);
}

static int max_graph_depth_read(struct control_text *out)
{
	control_printf(out, "%u\n", depth);
	return 0;
}

/* Unlike tracefs, which takes microseconds: ticks, as records carry. Who writes it knows their rate. */
static int tracing_thresh_write(const char *value, size_t len, enum control_mode mode)
{
	u64 n;

	if (control_number(value, len, 1ull << 62, &n))
		return ft_log(-EINVAL, "tracing_thresh: not a number of ticks");
	threshold = n;
	return ftrace_graph_set_threshold(threshold);
}

static int tracing_thresh_read(struct control_text *out)
{
	control_printf(out, "%llu\n", (unsigned long long)threshold);
	return 0;
}

const struct control_file control_graph_files[] = {
	{ "max_graph_depth", 0, max_graph_depth_read, max_graph_depth_write },
	{ "tracing_thresh", 0, tracing_thresh_read, tracing_thresh_write },
	{ 0 }
};
