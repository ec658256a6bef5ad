/* SPDX-License-Identifier: MIT */
/*
 * The call graph: one node for each path of calls, with counts and times. A function that calls
 * itself, directly or through others, goes back to its node above: paths stay short, and their
 * number is limited, whatever was recorded.
 */
#ifndef TRACE_CALLGRAPH_H
#define TRACE_CALLGRAPH_H

#include "reader/filter.h"
#include "reader/merge.h"

struct trace_node {
	uint32_t function;	/* index into functions; UINT32_MAX: the root */
	uint32_t parent, child, next;	/* nodes, 0: none */
	uint64_t calls;
	uint64_t recursive;	/* calls among them made while this node was active already */
	uint64_t unfinished;
	uint64_t total;		/* ticks, outermost calls */
	uint64_t self;		/* ticks */
};

struct trace_callgraph {
	struct trace_node *nodes;	/* nodes[0] is the root: calls nobody traced made */
	uint32_t nnodes;
	const char **functions;		/* names for people */
	const char **symbols;		/* as the symbol table has them */
	uint32_t nfunctions;
	uint64_t lost;
	uint64_t merged;	/* calls put to their caller's node: too many paths */
};

/*
 * Build it from everything @select wants, filtered as a report is. Prints progress. Returns 0 or a
 * negative errno after having said why.
 */
int trace_callgraph(struct trace_callgraph *graph, struct trace_recording *recording,
		    const struct trace_select *select, const struct trace_filter *filter,
		    int raw_names);
void trace_callgraph_free(struct trace_callgraph *graph);

#endif /* TRACE_CALLGRAPH_H */
