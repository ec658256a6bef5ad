/* SPDX-License-Identifier: MIT */
/* Direct calls, alone and with tracers at the same function. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <ftrace/fgraph.h>

#include "targets.h"
#include "../unwind/tap.h"

extern long first_count, second_count;
void direct_first(void);
void direct_second(void);

#define FIRST	((unsigned long)direct_first)
#define SECOND	((unsigned long)direct_second)

static long hits, entries, returns, said;

static void hit(unsigned long ip, unsigned long parent, struct ftrace_ops *op, struct pt_regs *regs)
{
	__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
}

static int enter(struct ftrace_graph_ent *ent, struct fgraph_ops *gops, struct pt_regs *regs)
{
	__atomic_fetch_add(&entries, 1, __ATOMIC_RELAXED);
	return 1;
}

static void leave(struct ftrace_graph_ret *ret, struct fgraph_ops *gops, struct pt_regs *regs)
{
	__atomic_fetch_add(&returns, 1, __ATOMIC_RELAXED);
}

static void divert(unsigned long ip, unsigned long parent, struct ftrace_ops *op, struct pt_regs *regs)
{
}

static void say(const char *msg)
{
	said++;
}

static void filter(struct ftrace_ops *ops, const char *name)
{
	ok(ftrace_set_filter(ops, name, (int)strlen(name), 1) == 0, "filter %s", name);
}

static long call(void)
{
	return target_eight(1, 2, 3, 4, 5, 6, 7, 8);
}

#define EIGHT	204

static bool refused(int err, int want)
{
	bool good = err == want && said;

	said = 0;
	return good;
}

static volatile bool stop;
static long wrong;

static void *hammer(void *arg)
{
	while (!stop)
		if (call() != EIGHT || target_twice(21) != 42)
			__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void alone(void)
{
	static struct ftrace_ops ops;

	filter(&ops, "target_eight");
	ok(register_ftrace_direct(&ops, FIRST) == 0, "registered");
	first_count = 0;
	for (int i = 0; i < 10; i++)
		if (call() != EIGHT)
			wrong++;
	ok(first_count == 10 && !wrong, "each call is seen once and goes on (%ld)", first_count);
	ftrace_stop();
	call();
	ftrace_start();
	ok(first_count == 11, "silent tracers do not silence it");
	ok(modify_ftrace_direct(&ops, SECOND) == 0, "modified");
	first_count = second_count = 0;
	call();
	ok(first_count == 0 && second_count == 1, "the other one is called");
	ok(refused(unregister_ftrace_direct(&ops, FIRST, 0), -EINVAL), "unregistering by a wrong address");
	ok(unregister_ftrace_direct(&ops, SECOND, 1) == 0, "unregistered");
	call();
	ok(second_count == 1, "not called any more");
	ok(refused(modify_ftrace_direct(&ops, FIRST), -EINVAL), "modifying what is not registered");
}

static void with_tracers(void)
{
	static struct ftrace_ops direct, ops = { .func = hit };
	static struct fgraph_ops gops = { .entryfunc = enter, .retfunc = leave };

	filter(&direct, "target_eight");
	filter(&ops, "target_eight");
	filter(&gops.ops, "target_eight");
	first_count = 0;
	ok(register_ftrace_graph(&gops) == 0, "graph first");
	ok(call() == EIGHT && entries == 1 && returns == 1, "the graph alone");
	ok(register_ftrace_direct(&direct, FIRST) == 0, "a direct call beside the graph");
	ok(call() == EIGHT && entries == 2 && returns == 2 && first_count == 1,
	   "both (%ld entries, %ld returns, %ld direct)", entries, returns, first_count);
	ok(register_ftrace_function(&ops) == 0, "and a function tracer");
	ok(call() == EIGHT && entries == 3 && returns == 3 && first_count == 2 && hits == 1,
	   "all three");
	unregister_ftrace_graph(&gops);
	ok(call() == EIGHT && entries == 3 && first_count == 3 && hits == 2, "without the graph");
	unregister_ftrace_function(&ops);
	ok(call() == EIGHT && first_count == 4 && hits == 2, "without the function tracer");
	ok(register_ftrace_graph(&gops) == 0, "the graph again");
	ok(call() == EIGHT && entries == 4 && returns == 4 && first_count == 5, "both again");
	ok(modify_ftrace_direct(&direct, SECOND) == 0, "modified under the graph");
	second_count = 0;
	ok(call() == EIGHT && first_count == 5 && second_count == 1 && returns == 5, "the other one");
	ok(unregister_ftrace_direct(&direct, SECOND, 1) == 0, "the direct call goes first");
	ok(call() == EIGHT && entries == 6 && second_count == 1, "the graph alone again");
	unregister_ftrace_graph(&gops);
}

static void refusals(void)
{
	static struct ftrace_ops a, b, none;
	static struct ftrace_ops mod = { .func = divert, .flags = FTRACE_OPS_FL_SAVE_REGS |
						     FTRACE_OPS_FL_IPMODIFY };

	ok(refused(register_ftrace_direct(&none, FIRST), -EINVAL), "no filter");
	filter(&a, "target_add,target_eight");
	filter(&b, "target_eight");
	filter(&mod, "target_add");
	ok(refused(register_ftrace_direct(&a, 0), -EINVAL), "no address");
	ok(register_ftrace_direct(&a, FIRST) == 0, "two functions");
	ok(refused(register_ftrace_direct(&a, FIRST), -EINVAL), "registered already");
	ok(refused(register_ftrace_direct(&b, SECOND), -EBUSY), "a second one at the function");
	ok(refused(register_ftrace_function(&mod), -EBUSY), "IPMODIFY at the function");
	unregister_ftrace_direct(&a, FIRST, 0);
	ok(register_ftrace_function(&mod) == 0, "IPMODIFY when it has gone");
	ok(refused(register_ftrace_direct(&a, FIRST), -EBUSY), "a direct call where IPMODIFY is");
	ok(register_ftrace_direct(&b, SECOND) == 0, "a direct call elsewhere");
	unregister_ftrace_function(&mod);
	unregister_ftrace_direct(&b, SECOND, 1);
	ok(register_ftrace_direct(&a, FIRST) == 0, "and again");
	ok(unregister_ftrace_direct(&a, FIRST, 1) == 0, "gone");
}

static void under_load(void)
{
	static struct ftrace_ops direct;
	static struct fgraph_ops gops = { .entryfunc = enter, .retfunc = leave };
	pthread_t threads[3];

	filter(&direct, "target_eight,target_twice");
	filter(&gops.ops, "target_*");
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, hammer, NULL);
	for (int i = 0; i < 150 && !wrong; i++) {
		if (register_ftrace_direct(&direct, FIRST) || register_ftrace_graph(&gops) ||
		    modify_ftrace_direct(&direct, SECOND))
			wrong++;
		unregister_ftrace_graph(&gops);
		if (modify_ftrace_direct(&direct, FIRST) ||
		    unregister_ftrace_direct(&direct, FIRST, 0))
			wrong++;
	}
	stop = true;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	ok(!wrong, "changed 150 times under load: no wrong result (%ld)", wrong);
}

int main(void)
{
	ftrace_set_log(say);
	alone();
	with_tracers();
	refusals();
	under_load();
	return tap_done();
}
