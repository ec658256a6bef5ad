/* SPDX-License-Identifier: MIT */
/*
 * The stubs are the library's. STUBS_OPS in the environment says what is registered: "graph" (the
 * default), "function", "regs", or "all" three. "general": functions have trampolines of their own, and all that these
 * leave to stubs happens as well. "replaced": nothing, but leaf() is replaced, and back, over and
 * over, by a transition that another thread holds up for some time.
 */
#include "reads.h"
#include "stubs.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ftrace/fgraph.h>
#include <ftrace/ftrace.h>
#include <ftrace/livepatch.h>

long stubs_entered, stubs_returned;
const bool stubs_counted = true;
bool stubs_hook, stubs_own, stubs_replaced;

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

/* Where that leads is not seen, so vector registers are saved around it, which only trampolines in the library do. */
static void (*volatile count_somehow)(long *counter) = count;

static void called(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		   struct pt_regs *regs)
{
	(void)ip;
	(void)parent_ip;
	(void)op;
	(void)regs;
	count_somehow(&stubs_entered);
}

static void check(int err);

/* ---- general ---- */

#ifdef __s390__
#define GENERAL_ONLY
#else
#define GENERAL_ONLY	__attribute__((target("general-regs-only")))
#endif

static volatile int in_callback;
static struct ftrace_ops company = {.func = called};

TRACED int stubs_inner(int x)
{
	return x + 1;
}

GENERAL_ONLY static void called_first(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
				      struct pt_regs *regs)
{
	static int n;

	(void)ip;
	(void)parent_ip;
	(void)op;
	(void)regs;
	count(&stubs_entered);
	if (in_callback || ++n % 4)
		return;
	in_callback = 1;
	n += stubs_inner(n);		/* inside of another */
	in_callback = 0;
}

/* What comes in the way of the call that is about to go through the trampoline's first instruction; and back. */
#define ENTRY		32
#define SILENT		11		/* where it comes when nobody is told */

static void come_in_the_way(int stub, int trampoline)
{
	static int with_company, n;

	if (in_callback)
		return;
	if (trampoline == SILENT) {
		ftrace_start();
	} else if (trampoline == ENTRY) {
		n++;
		if (n % 5 == 2) {
			ftrace_stop();
		} else if (n % 5 == 4) {
			check(register_ftrace_function(&company));
			with_company = 1;
		}
	} else if (stub == 0 && with_company) {
		check(unregister_ftrace_function(&company));
		with_company = 0;
	}
}

void stubs_stepped(int stub, int trampoline)
{
	if (stubs_own)
		come_in_the_way(stub, trampoline);
}

static void check(int err)
{
	if (!err)
		return;
	fprintf(stderr, "registering: %s\n", strerror(-err));
	exit(99);
}

/* ---- replaced ---- */

static int leaf2(int x)
{
	count(&stubs_entered);
	return x * 3;
}

TRACED int stubs_held(int fd)
{
	char c;

	return (int)read(fd, &c, 1) + 1;
}

static int not_held(int fd)
{
	return fd;
}

static volatile int holder;

static void *hold(void *fds)
{
	holder = (int)syscall(SYS_gettid);
	stubs_held(*(int *)fds);
	return NULL;
}

/* The threads that do all this outlive the test: the program ends when its main thread does. */
static void *replace_and_back(void *arg)
{
	static struct klp_func funcs[] = { { .old_name = "_Z4leafi", .new_func = leaf2 },
					   { .old_name = "stubs_held", .new_func = not_held }, { } };
	static struct klp_object objs[] = { { .funcs = funcs }, { } };
	static struct klp_patch patch = { .name = "leaf", .objs = objs };

	(void)arg;
	for (;;) {
		long before = stubs_entered;

		/* Long enough for the main thread to go over and make a call: only then it takes the way elsewhere. */
		check(klp_enable_patch(&patch));
		for (int i = 0; i < 20 || (stubs_entered == before && i < 1000); i++) {
			usleep(2000);
			klp_transition_work();
		}
		check(klp_disable_patch(&patch));	/* turns it round */
		while (klp_wait_transition(1000))
			;
	}
	return NULL;
}

static void start_replacing(void)
{
	static int fds[2];
	pthread_t t;

	if (pipe(fds) || pthread_create(&t, NULL, hold, fds))
		exit(99);
	while (!holder || !reads(holder))
		usleep(1000);
	if (pthread_create(&t, NULL, replace_and_back, NULL))
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
	static struct ftrace_ops general = {.func = called_first, .flags = FTRACE_OPS_FL_GENERAL_REGS};
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
	stubs_own = !strcmp(ops, "general");
	if (stubs_own)
		check(register_ftrace_function(&general));
	stubs_replaced = !strcmp(ops, "replaced");
	if (stubs_replaced)
		start_replacing();
	stubs_look();
}
