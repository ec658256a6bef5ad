/* SPDX-License-Identifier: MIT */
/*
 * returns: entry and return of each call, with the time between them and the value returned.
 *
 *	cc -O2 -fpatchable-function-entry=5 returns.c $(pkg-config --cflags --libs libftrace)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <ftrace/fgraph.h>

__attribute__((noinline)) unsigned long fib(unsigned long n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* What one call remembers from its entry to its return. */
struct call {
	uint64_t begin;
	unsigned long argument;
};

static int enter(struct ftrace_graph_ent *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	struct call *call = fgraph_reserve_data(gops, sizeof(*call));

	(void)trace;
	if (!call)
		return 0;
	call->argument = regs_get_argument(regs, 0);
	call->begin = now();
	return 1;
}

static void leave(struct ftrace_graph_ret *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	struct call *call = fgraph_retrieve_data(gops, NULL);

	if (call)
		printf("%*sfib(%lu) = %lu, %llu ns\n", 2 * trace->depth, "", call->argument,
		       regs_return_value(regs), (unsigned long long)(now() - call->begin));
}

static struct fgraph_ops calls = { .entryfunc = enter, .retfunc = leave };

int main(void)
{
	unsigned long result;

	if (ftrace_set_filter(&calls.ops, "fib", strlen("fib"), 1) || register_ftrace_graph(&calls))
		return 1;
	result = fib(4);
	unregister_ftrace_graph(&calls);
	printf("fib(4) is %lu\n", result);
	return 0;
}
