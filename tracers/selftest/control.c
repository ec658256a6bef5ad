/* SPDX-License-Identifier: MIT */
/* Choosing functions, silence, the end of an ops, objects that come and go. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tracers/selftest/selftest.h"
#include "tracers/selftest/targets.h"

static void filter_names(void)
{
	struct probe p;

	probe_init(&p, "target_o*", 0);
	probe_start(&p);
	target_one();
	target_two();
	target_outer(3);
	expect("calls of target_o*", probe_count(&p), 2);
	choose(&p.ops, "target_?wo, target_[op]*", 1);
	target_one();
	target_two();
	target_product(1, 1);
	target_inner(1);
	expect("and of target_?wo, target_[op]*", probe_count(&p), 5);
	need("ftrace_set_notrace", ftrace_set_notrace(&p.ops, "*_one *_tw[o]", 13, 1));
	target_one();
	target_two();
	target_product(1, 1);
	expect("and without *_one *_tw[o]", probe_count(&p), 6);
	need("ftrace_set_notrace", ftrace_set_notrace(&p.ops, NULL, 0, 1));
	target_one();
	expect("and with them again", probe_count(&p), 7);
	expect_error("a filter that matches nothing",
		     ftrace_set_filter(&p.ops, "no_such_function", 16, 1), -EINVAL);
	target_one();
	expect("which leaves the filter as it was", probe_count(&p), 8);
	probe_stop(&p);
}

static void filter_addresses(void)
{
	unsigned long both[] = { (unsigned long)target_one, (unsigned long)target_two };
	struct probe p;

	probe_init(&p, NULL, 0);
	need("ftrace_set_filter_ip", ftrace_set_filter_ip(&p.ops, both[0], 0, 1));
	probe_start(&p);
	target_one();
	target_two();
	expect("calls, by the first one's address", probe_count(&p), 1);
	need("ftrace_set_filter_ip", ftrace_set_filter_ip(&p.ops, site_of((void *)target_two), 0, 1));
	target_one();
	target_two();
	expect("by the second one's site", probe_count(&p), 2);
	need("ftrace_set_filter_ips", ftrace_set_filter_ips(&p.ops, both, 2, 0, 1));
	target_one();
	target_two();
	expect("by both addresses", probe_count(&p), 4);
	need("ftrace_set_filter_ip", ftrace_set_filter_ip(&p.ops, both[0], 1, 0));
	target_one();
	target_two();
	expect("with one taken away", probe_count(&p), 5);
	expect_error("an address that begins no function",
		     ftrace_set_filter_ip(&p.ops, both[0] + 1, 0, 0), -ENOENT);
	probe_stop(&p);
}

static void stop_and_start(void)
{
	struct probe p;

	probe_init(&p, "target_one", 0);
	probe_start(&p);
	target_one();
	ftrace_stop();
	target_one();
	target_one();
	expect("calls, silenced after the first", probe_count(&p), 1);
	ftrace_start();
	target_one();
	expect("calls, one more after that", probe_count(&p), 2);
	probe_stop(&p);
}

static void bad_arguments(void)
{
	struct ftrace_ops empty = { .func = NULL };
	struct fgraph_ops nothing = { .entryfunc = NULL };
	struct probe p;

	expect_error("an ops without a callback", register_ftrace_function(&empty), -EINVAL);
	expect_error("graph ops without one", register_ftrace_graph(&nothing), -EINVAL);
	probe_init(&p, "target_one", 1ul << 30);
	expect_error("a flag that does not exist", register_ftrace_function(&p.ops), -EINVAL);
	p.ops.flags = 0;
	expect_error("the end of an ops never started", unregister_ftrace_function(&p.ops), -ENOENT);
	probe_start(&p);
	expect_error("a second start", register_ftrace_function(&p.ops), -EBUSY);
	expect_error("a filter freed while in use", ftrace_free_filter(&p.ops), -EBUSY);
	probe_stop(&p);
}

static int end_from_callback;

static void end_itself(struct probe *p, struct pt_regs *regs)
{
	end_from_callback = unregister_ftrace_function(&p->ops);
}

static void end_in_callback(void)
{
	struct probe p;

	probe_init(&p, "target_one", 0);
	p.then = end_itself;
	probe_start(&p);
	target_one();
	expect_error("the end of an ops from its own callback", end_from_callback, -EDEADLK);
	p.then = NULL;
	target_one();
	expect("calls", probe_count(&p), 2);
	probe_stop(&p);
}

/*
 * A signal handler leaves the callback that it has interrupted: the thread is in none any more,
 * neither for its next call nor for the end of the ops.
 */
static sigjmp_buf before_call;

static void jump_away(int sig)
{
	siglongjmp(before_call, 1);
}

static void raise_signal(struct probe *p, struct pt_regs *regs)
{
	raise(SIGUSR1);
}

static void leave_callback(struct probe *p)
{
	p->then = raise_signal;
	if (!sigsetjmp(before_call, 1))
		target_one();
	p->then = NULL;
}

static void left_callbacks(void)
{
	const unsigned long flags[] = { 0, FTRACE_OPS_FL_SAVE_REGS, FTRACE_OPS_FL_RECURSION };
	struct probe p;

	signal(SIGUSR1, jump_away);
	for (unsigned int i = 0; i < 3; i++) {
		probe_init(&p, "target_one", flags[i]);
		probe_start(&p);
		leave_callback(&p);
		target_one();
		expect("calls, one left and one not", probe_count(&p), 2);
		p.then = end_itself;
		end_from_callback = 0;
		target_one();
		p.then = NULL;
		expect_error("the end of an ops from its own callback", end_from_callback, -EDEADLK);
		leave_callback(&p);
		probe_stop(&p);
	}
	signal(SIGUSR1, SIG_DFL);
}

/* ---- the end of an ops waits for its callbacks in other threads ---- */

static int inside, done;

static void slowly(struct probe *p, struct pt_regs *regs)
{
	struct timespec until, now;

	__atomic_store_n(&inside, 1, __ATOMIC_SEQ_CST);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += 200000000;
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - until.tv_sec) * 1000000000 + now.tv_nsec - until.tv_nsec < 0);
	__atomic_store_n(&done, 1, __ATOMIC_SEQ_CST);
}

static void *call_one(void *arg)
{
	target_one();
	return NULL;
}

static void waits(unsigned long flags)
{
	pthread_t thread;
	struct probe p;

	inside = done = 0;
	probe_init(&p, "target_one", flags);
	p.then = slowly;
	probe_start(&p);
	if (pthread_create(&thread, NULL, call_one, NULL))
		selftest_give_up("pthread_create failed");
	while (!__atomic_load_n(&inside, __ATOMIC_SEQ_CST))
		;
	need("unregister_ftrace_function", unregister_ftrace_function(&p.ops));
	expect("callbacks ended when unregister_ftrace_function() returns",
	       __atomic_load_n(&done, __ATOMIC_SEQ_CST), 1);
	memset(&p, 0xa5, sizeof(p));	/* nobody looks at it any more */
	pthread_join(thread, NULL);
}

static void unregister_waits(void)
{
	waits(0);
	waits(FTRACE_OPS_FL_SAVE_REGS);
	waits(FTRACE_OPS_FL_RECURSION);
}

/* ---- an ops misses no call while others come and go, whatever these need ---- */

static long calls_made;

static void *call_until_done(void *arg)
{
	while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
		target_one();
		calls_made++;
	}
	return NULL;
}

static void others_come_and_go(void)
{
	const unsigned long flags[] = { FTRACE_OPS_FL_SAVE_REGS, 0, FTRACE_OPS_FL_RECURSION };
	struct probe stays, comes;
	pthread_t thread;

	done = 0;
	probe_init(&stays, "target_one", 0);
	probe_start(&stays);
	if (pthread_create(&thread, NULL, call_until_done, NULL))
		selftest_give_up("pthread_create failed");
	for (unsigned int i = 0; i < 600; i++) {
		probe_init(&comes, "target_one", flags[i % 3]);
		probe_start(&comes);
		probe_stop(&comes);
	}
	__atomic_store_n(&done, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	expect("calls seen by the ops that stayed", probe_count(&stays), calls_made);
	probe_stop(&stays);
}

/* ---- objects ---- */

static void *load(const char *name)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	void *object;

	if (n <= 0)
		selftest_give_up("/proc/self/exe cannot be read");
	path[n] = 0;
	strcpy(strrchr(path, '/') + 1, name);
	object = dlopen(path, RTLD_NOW);
	if (!object)
		selftest_give_up("%s", dlerror());
	return object;
}

/* An object's functions are traced from its constructors on, gone with it, and found again. */
static void loaded_objects(void)
{
	struct probe all, p;
	char what[64];

	probe_init(&all, NULL, 0);
	probe_start(&all);
	for (int round = 0; round < 20; round++) {
		void *object;
		long (*func)(long);

		all.count = 0;
		object = load("ftrace-selftest-plugin.so");
		func = (long (*)(long))dlsym(object, "plugin_double");
		if (!func)
			selftest_give_up("plugin_double: not found");
		snprintf(what, sizeof(what), "calls by its constructor, time %d", round);
		if (!expect(what, probe_count(&all), 2))	/* begin() and plugin_early() */
			break;
		probe_init(&p, "plugin_*", 0);
		probe_start(&p);
		expect("2 * 21", func(21), 42);
		expect("calls", probe_count(&p), 1);
		expect_hex("ip", p.ip, site_of((void *)func));
		if (round % 2)
			probe_stop(&p);
		dlclose(object);
		if (!(round % 2))
			probe_stop(&p);
	}
	probe_stop(&all);
}

const struct selftest selftest_control[] = {
	{ "ftrace filter names", filter_names, 20 },
	{ "ftrace filter addresses", filter_addresses, 20 },
	{ "ftrace stop and start", stop_and_start, 20 },
	{ "ftrace bad arguments", bad_arguments, 20 },
	{ "ftrace unregister in a callback", end_in_callback, 20 },
	{ "ftrace callbacks left by siglongjmp", left_callbacks, 20 },
	{ "ftrace unregister waits for callbacks", unregister_waits, 20 },
	{ "ftrace ops come and go", others_come_and_go, 60 },
	{ "ftrace loaded objects", loaded_objects, 30 },
	{ NULL, NULL, 0 }
};
