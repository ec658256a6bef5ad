/* SPDX-License-Identifier: MIT */
/* ftrace graph: the call graph as trees: what a function calls, and who calls it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/color.h"
#include "cmd/format.h"
#include "cmd/options.h"
#include "cmd/pager.h"
#include "reader/callgraph.h"
#include "reader/message.h"

#define MAX_DEPTH	500	/* levels of a tree that are printed */

static const struct cmd_usage usage = {
	.name = "graph",
	.synopsis = "[OPTION...] [FUNC]",
	.about = "Shows the recorded calls as a tree, each path once, with its calls and times. With FUNC\n"
		 "(a name, a glob, or a /regular expression/): who calls it, up to the first traced\n"
		 "function, and what it calls.",
	.tables = { cmd_read_options, cmd_select_options },
	.notes = "total  time from entry to return; of a recursion, only of the outermost call\n"
		 "self   the same, less the time spent in the functions it called\n"
		 "A function that calls itself, directly or through others, appears once on its path:\n"
		 "what the inner calls do is shown there.",
};

/* One path of the recording that takes part in a line: @leaf has the numbers, @at is its place. */
struct entry {
	uint32_t at, leaf;
	uint32_t function;	/* of the line it belongs to */
};

struct group {
	const struct entry *entries;
	size_t n;
	uint64_t calls, recursive, total, self;
	const char *name;
};

enum direction { CALLEES, CALLERS };

struct view {
	const struct trace_callgraph *graph;
	const struct trace_clock *clock;
	enum direction direction;
	int cut;			/* something was deeper than MAX_DEPTH */
	char prefix[3 * MAX_DEPTH + 8];
};

static int by_function(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->function != y->function)
		return x->function < y->function ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

static int by_total(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->total != y->total)
		return x->total < y->total ? 1 : -1;
	if (x->calls != y->calls)
		return x->calls < y->calls ? 1 : -1;
	return strcmp(x->name, y->name);
}

static void *need(void *p)
{
	if (!p)
		exit(cmd_error("graph: no memory"));
	return p;
}

/* One step along the direction from each of @from: callees have children, callers one parent. */
static struct entry *expand(const struct view *view, const struct entry *from, size_t n,
			    size_t *count)
{
	const struct trace_node *nodes = view->graph->nodes;
	struct entry *out;
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		if (view->direction == CALLERS)
			used += nodes[from[i].at].parent != 0;
		else
			for (uint32_t c = nodes[from[i].at].child; c; c = nodes[c].next)
				used++;
	}
	out = need(calloc(used + 1, sizeof(*out)));
	*count = used;
	used = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t parent = nodes[from[i].at].parent;

		if (view->direction == CALLERS) {
			if (parent)
				out[used++] = (struct entry){ parent, from[i].leaf,
							      nodes[parent].function };
			continue;
		}
		for (uint32_t c = nodes[from[i].at].child; c; c = nodes[c].next)
			out[used++] = (struct entry){ c, c, nodes[c].function };
	}
	qsort(out, used, sizeof(*out), by_function);
	return out;
}

static struct group *make_groups(const struct view *view, const struct entry *entries, size_t n,
				 size_t *count)
{
	struct group *groups = need(calloc(n + 1, sizeof(*groups))), *g = NULL;

	*count = 0;
	for (size_t i = 0; i < n; i++) {
		const struct trace_node *leaf = &view->graph->nodes[entries[i].leaf];

		if (!g || g->entries->function != entries[i].function) {
			g = &groups[(*count)++];
			g->entries = &entries[i];
			g->name = view->graph->functions[entries[i].function];
		}
		g->n++;
		g->calls += leaf->calls;
		g->recursive += leaf->recursive;
		g->total += leaf->total;
		g->self += leaf->self;
	}
	qsort(groups, *count, sizeof(*groups), by_total);
	return groups;
}

static void print_line(const struct view *view, const struct group *g, const char *branch)
{
	char total[32], self[32];

	printf("%10llu %10s %10s  %s%s%s%s%s%s%s", (unsigned long long)g->calls,
	       format_duration(trace_ns(view->clock, g->total), total),
	       view->direction == CALLERS && *branch ? "" :
	       format_duration(trace_ns(view->clock, g->self), self),
	       cmd_color(COLOR_DIM), view->prefix, branch, cmd_color(COLOR_NONE),
	       cmd_color(COLOR_NAME), g->name, cmd_color(COLOR_NONE));
	if (g->recursive && !(view->direction == CALLERS && *branch))
		printf("%s  (%llu of the calls inside itself)%s", cmd_color(COLOR_DIM),
		       (unsigned long long)g->recursive, cmd_color(COLOR_NONE));
	putchar('\n');
}

static void print_tree(struct view *view, const struct entry *from, size_t n, unsigned depth)
{
	size_t nentries, ngroups, len = strlen(view->prefix);
	struct entry *entries;
	struct group *groups;

	if (depth >= MAX_DEPTH) {
		view->cut = 1;
		return;
	}
	entries = expand(view, from, n, &nentries);
	groups = make_groups(view, entries, nentries, &ngroups);
	for (size_t i = 0; i < ngroups; i++) {
		int last = i + 1 == ngroups, top = depth == 0 && view->direction == CALLEES &&
						   from[0].at == 0;

		/* Paths nothing of which passed the filter hold nothing to show. */
		if (!groups[i].calls && !view->graph->nodes[groups[i].entries[0].at].child)
			continue;
		print_line(view, &groups[i], top ? "" : view->direction == CALLERS ? "<- " : "+- ");
		if (!top)
			strcpy(view->prefix + len, last ? "   " : "|  ");
		print_tree(view, groups[i].entries, groups[i].n, depth + 1);
		view->prefix[len] = 0;
	}
	free(groups);
	free(entries);
}

static void print_title(const char *text)
{
	printf("%s#    CALLS      TOTAL       SELF  %s%s\n", cmd_color(COLOR_DIM), text,
	       cmd_color(COLOR_NONE));
}

/* Callers and callees of one function. */
static void print_function(struct view *view, uint32_t function)
{
	const struct trace_callgraph *graph = view->graph;
	struct entry *entries;
	struct group *group;
	size_t n = 0, ngroups;

	for (uint32_t i = 1; i < graph->nnodes; i++)
		n += graph->nodes[i].function == function;
	entries = need(calloc(n + 1, sizeof(*entries)));
	n = 0;
	for (uint32_t i = 1; i < graph->nnodes; i++)
		if (graph->nodes[i].function == function)
			entries[n++] = (struct entry){ i, i, function };
	group = make_groups(view, entries, n, &ngroups);

	view->direction = CALLERS;
	print_title("CALLED FROM");
	print_line(view, group, "");
	print_tree(view, entries, n, 1);
	view->direction = CALLEES;
	print_title("CALLS");
	print_line(view, group, "");
	print_tree(view, entries, n, 1);
	free(group);
	free(entries);
}

static int print_matching(struct view *view, const char *pattern)
{
	const struct trace_callgraph *graph = view->graph;
	struct trace_filter match = { 0 };
	char why[256] = "no memory";
	unsigned found = 0;

	if (trace_filter_add(&match, TRACE_FILTER_GRAPH, pattern, why, sizeof(why)))
		return cmd_bad_use("graph", "%s: not a pattern: %s", pattern, why);
	for (uint32_t i = 0; i < graph->nfunctions; i++) {
		if (strcmp(graph->functions[i], pattern) && strcmp(graph->symbols[i], pattern) &&
		    !trace_filter_match(&match, TRACE_FILTER_GRAPH, graph->symbols[i],
					graph->functions[i]))
			continue;
		if (found++)
			putchar('\n');
		print_function(view, i);
	}
	trace_filter_free(&match);
	if (!found)
		return cmd_error("graph: %s: no such function was called; 'ftrace report' lists those that were",
				 pattern);
	return 0;
}

int cmd_graph(int argc, char **argv)
{
	struct trace_recording recording;
	struct trace_callgraph graph;
	struct view view = { .graph = &graph, .clock = &recording.clock };
	struct cmd_read read;
	struct cmd_getopt g;
	int key, status = 1;

	cmd_read_init(&read);
	cmd_getopt_init(&g, &usage, argc, argv, 1);
	while ((key = cmd_getopt(&g)) != -1)
		cmd_read_option(&read, &g, key);
	if (optind + 1 < argc)
		return cmd_bad_use("graph", "%s: only one function; a glob or /regular expression/ matches several",
				   argv[optind + 1]);
	if (cmd_read_open(&read, &recording))
		goto out;
	if (trace_callgraph(&graph, &recording, &read.select, &read.filter, read.raw_names))
		goto out_close;
	trace_warnings_done();
	cmd_color_init(read.color);
	cmd_pager(read.pager);
	if (optind < argc) {
		status = print_matching(&view, argv[optind]);
	} else {
		struct entry root = { 0, 0, 0 };

		print_title("FUNCTION");
		print_tree(&view, &root, 1, 0);
		status = 0;
	}
	if (status)
		goto out_graph;
	if (view.cut)
		printf("# calls more than %d levels deep are not shown\n", MAX_DEPTH);
	if (graph.merged)
		printf("# more than a million paths: %llu calls are counted as their callers'\n",
		       (unsigned long long)graph.merged);
	if (graph.lost)
		printf("%s# LOST %llu EVENTS: counts are too low, and some calls have no time%s\n",
		       cmd_color(COLOR_LOST), (unsigned long long)graph.lost,
		       cmd_color(COLOR_NONE));
	status = cmd_finish_stdout();
out_graph:
	trace_callgraph_free(&graph);
out_close:
	trace_close(&recording);
out:
	cmd_read_free(&read);
	return status;
}
