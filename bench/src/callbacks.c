/* SPDX-License-Identifier: MIT */
/*
 * callbacks ROUNDS REPS: what an empty callback costs a call, beside bare saves and restores of
 * the same registers, for each kind of registration; and what ftrace_stop() leaves.
 */
#include <string.h>

#include <ftrace/fgraph.h>
#include <ftrace/ftrace.h>

#include "measure.h"
#include "sites.h"

static void empty(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		  struct pt_regs *regs)
{
	(void)ip;
	(void)parent_ip;
	(void)op;
	(void)regs;
}

/* As empty, but larger than what is looked through: its vector registers have to be saved. */
void unseen(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op, struct pt_regs *regs);
__asm__(".text\n"
	".type unseen, @function\n"
	"unseen:\n\t"
	".cfi_startproc\n\t"
	"ret\n\t"
	".skip 2047, 0xcc\n\t"
	".cfi_endproc\n\t"
	".size unseen, . - unseen");

static unsigned long hits;

static void count(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		  struct pt_regs *regs)
{
	(void)ip;
	(void)parent_ip;
	(void)op;
	(void)regs;
	hits++;
}

static int graph_entry(struct ftrace_graph_ent *trace, struct fgraph_ops *gops,
		       struct pt_regs *regs)
{
	(void)trace;
	(void)gops;
	(void)regs;
	return 1;
}

static void graph_return(struct ftrace_graph_ret *trace, struct fgraph_ops *gops,
			 struct pt_regs *regs)
{
	(void)trace;
	(void)gops;
	(void)regs;
}

static void check(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "callbacks: %s: %s\n", what, strerror(-err));
	exit(1);
}

static struct ftrace_ops ops;
static struct fgraph_ops gops;

static void add(ftrace_func_t func, unsigned long flags)
{
	memset(&ops, 0, sizeof(ops));
	ops.func = func;
	ops.flags = flags;
	check(ftrace_set_filter(&ops, "traced_site*", strlen("traced_site*"), 1),
	      "ftrace_set_filter");
	check(register_ftrace_function(&ops), "register_ftrace_function");
}

static void add_regs(void)
{
	add(empty, FTRACE_OPS_FL_SAVE_REGS);
}

static void add_regs_vectors(void)
{
	add(unseen, FTRACE_OPS_FL_SAVE_REGS);
}

static void add_default(void)
{
	add(empty, 0);
}

static void add_default_vectors(void)
{
	add(unseen, 0);
}

static void add_recursion(void)
{
	add(empty, FTRACE_OPS_FL_RECURSION);
}

static void drop(void)
{
	check(unregister_ftrace_function(&ops), "unregister_ftrace_function");
	check(ftrace_free_filter(&ops), "ftrace_free_filter");
}

static void add_stopped(void)
{
	add_default();
	ftrace_stop();
}

static void drop_stopped(void)
{
	ftrace_start();
	drop();
}

/* Armed and on once, then off: the sites hold their one-instruction nops. */
static void on_and_off(void)
{
	add_default();
	drop();
}

static void add_graph(void)
{
	memset(&gops, 0, sizeof(gops));
	gops.entryfunc = graph_entry;
	gops.retfunc = graph_return;
	check(ftrace_set_filter(&gops.ops, "traced_site*", strlen("traced_site*"), 1),
	      "ftrace_set_filter");
	check(register_ftrace_graph(&gops), "register_ftrace_graph");
}

static void drop_graph(void)
{
	check(unregister_ftrace_graph(&gops), "unregister_ftrace_graph");
	check(ftrace_free_filter(&gops.ops), "ftrace_free_filter");
}

/* The numbers mean nothing if the callbacks do not run. */
static void prove_calls(unsigned long flags, unsigned long expected)
{
	struct ftrace_ops counting = { .func = count, .flags = flags };

	hits = 0;
	check(ftrace_set_filter(&counting, "traced_site*", strlen("traced_site*"), 1),
	      "ftrace_set_filter");
	check(register_ftrace_function(&counting), "register_ftrace_function");
	run_traced();
	check(unregister_ftrace_function(&counting), "unregister_ftrace_function");
	if (hits != expected) {
		fprintf(stderr, "callbacks: %lu callbacks where %lu were due\n", hits, expected);
		exit(1);
	}
	ftrace_free_filter(&counting);
}

int main(int argc, char **argv)
{
	struct kind kinds[] = {
		{ .name = "plain", .run = run_plain },
		{ .name = "save16", .run = run_save16 },
		{ .name = "regs", .prepare = add_regs, .run = run_traced, .finish = drop },
		{ .name = "regs_vectors", .prepare = add_regs_vectors, .run = run_traced, .finish = drop },
		{ .name = "save9", .run = run_save9 },
		{ .name = "call16", .run = run_call16 },
		{ .name = "call9", .run = run_call9 },
		{ .name = "default", .prepare = add_default, .run = run_traced, .finish = drop },
		{ .name = "default_vectors", .prepare = add_default_vectors, .run = run_traced, .finish = drop },
		{ .name = "recursion", .prepare = add_recursion, .run = run_traced, .finish = drop },
		{ .name = "stopped", .prepare = add_stopped, .run = run_traced, .finish = drop_stopped },
		{ .name = "off", .prepare = on_and_off, .run = run_traced },
		{ .name = "graph", .prepare = add_graph, .run = run_traced, .finish = drop_graph },
	};
	int nkinds = sizeof(kinds) / sizeof(kinds[0]);

	if (argc != 3) {
		fprintf(stderr, "usage: callbacks ROUNDS REPS\n");
		return 2;
	}
	prove_calls(0, CALLS);
	prove_calls(FTRACE_OPS_FL_SAVE_REGS, CALLS);
	for (int k = 0; k < nkinds; k++) {
		kinds[k].calls = CALLS;
		kinds[k].reps = atoi(argv[2]);
	}
	measure(kinds, nkinds, atoi(argv[1]));
	return 0;
}
