/* SPDX-License-Identifier: MIT */
/* Function ops: who is called when, how often. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tracers/selftest/selftest.h"
#include "tracers/selftest/targets.h"

static void rest(void)
{
	nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
}

/* Nothing while nobody calls, exactly one for one call, nothing after the end. */
static void dynamic_tracing(void)
{
	struct probe p;

	probe_init(&p, "target_one", 0);
	target_one();
	expect("calls before the start", probe_count(&p), 0);
	probe_start(&p);
	rest();
	expect("calls while idle", probe_count(&p), 0);
	target_two();
	expect("calls of a function not chosen", probe_count(&p), 0);
	target_one();
	expect("calls after one call", probe_count(&p), 1);
	expect_hex("ip", p.ip, site_of((void *)target_one));
	rest();
	expect("calls a while later", probe_count(&p), 1);
	probe_stop(&p);
	target_one();
	expect("calls after the end", probe_count(&p), 1);
}

/* Calls so far of probes 1 to 3, of the one without a filter, and of the allocated one. */
#define PROBES	5

static void expect_counts(const char *step, struct probe *const p[PROBES],
			  const long want[PROBES])
{
	for (int i = 0; i < PROBES; i++)
		if ((p[i] ? probe_count(p[i]) : 0) != want[i])
			goto differ;
	return;
differ:
	selftest_fail("%s: expected (%ld %ld %ld %ld %ld), got (%ld %ld %ld %ld %ld)", step,
		      want[0], want[1], want[2], want[3], want[4],
		      probe_count(p[0]), probe_count(p[1]), probe_count(p[2]),
		      p[3] ? probe_count(p[3]) : 0, p[4] ? probe_count(p[4]) : 0);
}

/*
 * Three static ops (on the first function, on the second, on both), one allocated, none with the same
 * functions; in the second run one more that has no filter, under all the others.
 */
static void several_ops(bool with_global)
{
	static struct probe p1, p2, p3, global;
	struct probe *p[PROBES] = { &p1, &p2, &p3, NULL, NULL };
	long g = 0;

#define COUNTS(a, b, c, d)	expect_counts(step, p, (long[PROBES]){ a, b, c, g, d })
#define STEP(text, call)	do { step = text; call; g += with_global; } while (0)
	const char *step;

	probe_init(&p1, "target_one", 0);
	probe_init(&p2, "target_two", 0);
	probe_init(&p3, "target_one", 0);
	choose(&p3.ops, "target_two", 0);
	if (with_global) {
		p[3] = &global;
		probe_init(&global, NULL, 0);
		probe_start(&global);
	}
	probe_start(&p1);
	probe_start(&p2);
	probe_start(&p3);

	STEP("first function", target_one());
	COUNTS(1, 0, 1, 0);
	STEP("second function", target_two());
	COUNTS(1, 1, 2, 0);

	p[4] = malloc(sizeof(*p[4]));
	if (!p[4])
		selftest_give_up("no memory");
	probe_init(p[4], "target_*", FTRACE_OPS_FL_DYNAMIC);
	probe_start(p[4]);
	STEP("first function, one more ops", target_one());
	COUNTS(2, 1, 3, 1);
	STEP("second function, one more ops", target_two());
	COUNTS(2, 2, 4, 2);

	/* Change the filter of a registered ops. */
	choose(&p3.ops, "!target_two", 0);
	STEP("first function, third ops without the second", target_one());
	COUNTS(3, 2, 5, 3);
	STEP("second function, third ops without it", target_two());
	COUNTS(3, 3, 5, 4);
	choose(&p3.ops, "target_two", 0);
	STEP("second function, third ops with it again", target_two());
	COUNTS(3, 4, 6, 5);

	/* And end them one by one, the newest neither first nor last. */
	probe_stop(&p1);
	STEP("first function, first ops ended", target_one());
	COUNTS(3, 4, 7, 6);
	probe_stop(p[4]);
	STEP("second function, allocated ops ended", target_two());
	COUNTS(3, 5, 8, 6);
	probe_stop(&p2);
	probe_stop(&p3);
	STEP("first function, all three ended", target_one());
	COUNTS(3, 5, 8, 6);
	if (with_global)
		probe_stop(&global);
	target_one();
	step = "nobody left";
	COUNTS(3, 5, 8, 6);
	free(p[4]);
}

static void ops_one(void)
{
	several_ops(false);
}

static void ops_two(void)
{
	several_ops(true);
}

static void call_again(struct probe *p, struct pt_regs *regs)
{
	target_one();
}

/* A callback that calls its own function: the library keeps it from seeing itself. */
static void recursion(void)
{
	struct probe p;

	probe_init(&p, "target_one", FTRACE_OPS_FL_RECURSION);
	p.then = call_again;
	probe_start(&p);
	target_one();
	expect("calls", probe_count(&p), 1);
	target_one();
	expect("calls after a second one", probe_count(&p), 2);
	probe_stop(&p);
}

static void call_again_once(struct probe *p, struct pt_regs *regs)
{
	if (p->count == 1)
		target_one();
}

/* One that keeps itself from endless recursion sees the call it makes. */
static void recursion_safe(void)
{
	struct probe p;

	probe_init(&p, "target_one", 0);
	p.then = call_again_once;
	probe_start(&p);
	target_one();
	expect("calls", probe_count(&p), 2);
	probe_stop(&p);
}

/* Two such ops: each sees what the other one's callback calls. */
static void recursion_of_two(void)
{
	struct probe a, b;

	probe_init(&a, "target_one", FTRACE_OPS_FL_RECURSION);
	probe_init(&b, "target_one", FTRACE_OPS_FL_RECURSION);
	a.then = call_again;
	probe_start(&a);
	probe_start(&b);
	target_one();
	expect("calls seen by the one that makes them", probe_count(&a), 1);
	expect("calls seen by the other", probe_count(&b), 2);
	probe_stop(&a);
	probe_stop(&b);
}

/* Many ops one after the other: each is told of its own recursion, not of another's. */
static void recursion_of_many(void)
{
	struct probe first, p;

	probe_init(&first, "target_one", FTRACE_OPS_FL_RECURSION);
	first.then = call_again;
	probe_start(&first);
	for (int i = 0; i < 130; i++) {
		char what[48];

		probe_init(&p, "target_one", FTRACE_OPS_FL_RECURSION);
		probe_start(&p);
		target_one();
		snprintf(what, sizeof(what), "calls seen by ops number %d", i + 2);
		if (!expect(what, probe_count(&p), 2))
			break;
		probe_stop(&p);
	}
	probe_stop(&first);
}

static void *one_call(void *arg)
{
	target_one();
	return arg;
}

static void other_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, one_call, NULL))
		selftest_give_up("pthread_create failed");
	pthread_join(thread, NULL);
}

static void pid_filter(void)
{
	struct probe p;

	probe_init(&p, "target_one", FTRACE_OPS_FL_PID);
	need("ftrace_set_pid", ftrace_set_pid(&p.ops, gettid(), 1));
	probe_start(&p);
	other_thread();
	expect("calls by another thread", probe_count(&p), 0);
	target_one();
	expect("calls by the thread chosen", probe_count(&p), 1);
	need("ftrace_set_pid", ftrace_set_pid(&p.ops, 0, 1));
	target_one();
	expect("calls with no thread chosen", probe_count(&p), 1);
	probe_stop(&p);
}

/* Threads: their calls are seen, from the first one on. */
static void threads(void)
{
	struct probe p;

	probe_init(&p, "target_one", 0);
	probe_start(&p);
	for (int i = 0; i < 20; i++)
		other_thread();
	expect("calls of 20 threads", probe_count(&p), 20);
	probe_stop(&p);
}

const struct selftest selftest_dynamic[] = {
	{ "dynamic ftrace", dynamic_tracing, 20 },
	{ "dynamic ftrace ops #1", ops_one, 20 },
	{ "dynamic ftrace ops #2", ops_two, 20 },
	{ "ftrace recursion", recursion, 20 },
	{ "ftrace recursion safe", recursion_safe, 20 },
	{ "ftrace recursion of two ops", recursion_of_two, 20 },
	{ "ftrace recursion of many ops", recursion_of_many, 20 },
	{ "ftrace pid", pid_filter, 20 },
	{ "ftrace threads", threads, 20 },
	{ NULL, NULL, 0 }
};
