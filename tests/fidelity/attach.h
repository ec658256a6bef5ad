/* SPDX-License-Identifier: MIT */
/* What the programs that compare registers share, here and in tests/s390: random numbers, who is told of calls. */
#ifndef TESTS_FIDELITY_ATTACH_H
#define TESTS_FIDELITY_ATTACH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNTRACED	__attribute__((noinline, patchable_function_entry(0)))

static uint64_t random_state;

static UNTRACED uint64_t random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dull;
}

/* ---- with the library (defined before: WITH_LIBRARY) ---- */

#ifdef WITH_LIBRARY
#include <ftrace/fgraph.h>

static UNTRACED void must(int error, const char *what)
{
	if (error) {
		printf("%s: %s\n", what, strerror(-error));
		exit(1);
	}
}

static UNTRACED void function(struct ftrace_ops *ops)
{
	must(ftrace_set_filter(ops, "fidelity_target", 15, 1), "ftrace_set_filter");
	must(register_ftrace_function(ops), "register_ftrace_function");
}

static UNTRACED void graph_ops(struct fgraph_ops *gops)
{
	must(ftrace_set_filter(&gops->ops, "fidelity_target", 15, 1), "ftrace_set_filter");
	must(register_ftrace_graph(gops), "register_ftrace_graph");
}
#endif

#endif
