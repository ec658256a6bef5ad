/* SPDX-License-Identifier: MIT */
/* All functions turned on and off, in every way, under threads that run through them. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tracers/selftest/selftest.h"
#include "tracers/selftest/targets.h"

#define THREADS		3
#define ROUNDS		300		/* without --stress */

static int stop_now;
static volatile double spoiled;

/* What a thread has done, and what was seen of it by an ops that stays all the time. */
struct worker {
	pthread_t thread;
	bool block_signals;
	long laps, wrong;
	long counted_calls, counted;	/* of target_one() */
};

static __thread struct worker *self;
static long handled;

static void count_exactly(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
			  struct pt_regs *regs)
{
	if (self)
		self->counted++;
}

static long toggled_calls, graph_entries, graph_returns;

static void toggled(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		    struct pt_regs *regs)
{
	double x = spoiled;

	__atomic_fetch_add(&toggled_calls, 1, __ATOMIC_RELAXED);
	spoiled = x * 1.5 + 1;		/* callbacks may use vector registers */
}

static int graph_entry(struct ftrace_graph_ent *ent, struct fgraph_ops *gops,
		       struct pt_regs *regs)
{
	double x = spoiled;

	__atomic_fetch_add(&graph_entries, 1, __ATOMIC_RELAXED);
	spoiled = x / 3;
	return 1;
}

static void graph_return(struct ftrace_graph_ret *ret, struct fgraph_ops *gops,
			 struct pt_regs *regs)
{
	__atomic_fetch_add(&graph_returns, 1, __ATOMIC_RELAXED);
}

static long lap(long n)
{
	long wrong = 0;

	for (long i = 0; i < TARGET_CROWD; i++)
		wrong += target_crowd[i](n) != n + i;
	wrong += target_scale(0.5, 8) != 5;
	wrong += target_tail_first(n) != n + 3;
	wrong += target_recursive(20) != 20;
	return wrong;
}

static void on_signal(int sig)
{
	if (lap(1))
		__atomic_fetch_add(&self->wrong, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	sigset_t set;

	self = w;
	sigfillset(&set);
	pthread_sigmask(w->block_signals ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
	while (!__atomic_load_n(&stop_now, __ATOMIC_RELAXED)) {
		long wrong = lap(w->laps++);

		__atomic_fetch_add(&w->wrong, wrong, __ATOMIC_RELAXED);
		target_one();
		w->counted_calls++;
	}
	return NULL;
}

static long read_count(const long *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED);
}

static void one_round(unsigned long round, struct ftrace_ops *ops, struct ftrace_ops *general,
		      struct fgraph_ops *gops)
{
	int how = (int)(round % 4);

	ops->flags = round % 8 < 4 ? 0 : FTRACE_OPS_FL_SAVE_REGS;
	if (how != 3)
		need("register_ftrace_function", register_ftrace_function(ops));
	if (how >= 2)
		need("register_ftrace_graph", register_ftrace_graph(gops));
	/* On a busy machine no thread may run just now: once each way, wait until one does. */
	for (int i = 0; i < 1000 && ((how != 3 && !read_count(&toggled_calls)) ||
				     (how >= 2 && !read_count(&graph_returns))); i++)
		usleep(1000);
	if (how == 1)
		need("ftrace_set_notrace", ftrace_set_notrace(ops, "crowd_*[02468]", 14, 1));
	if (how == 1)
		need("ftrace_set_notrace", ftrace_set_notrace(ops, "target_one target_calls", 23, 1));
	if (how != 3)
		need("unregister_ftrace_function", unregister_ftrace_function(ops));
	if (how >= 2)
		need("unregister_ftrace_graph", unregister_ftrace_graph(gops));
}

static bool all_have_run(const struct worker *workers)
{
	for (int i = 0; i < THREADS; i++)
		if (!read_count(&workers[i].laps))
			return false;
	return read_count(&handled);
}

static void stress(void)
{
	static const char not_counted[] = "target_one";
	struct ftrace_ops ops = { .func = toggled }, exact = { .func = count_exactly };
	struct fgraph_ops gops = { .entryfunc = graph_entry, .retfunc = graph_return };
	unsigned long rounds = selftest_rounds ? selftest_rounds : ROUNDS;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF };
	struct itimerspec every = { { 0, 200000 }, { 0, 200000 } };
	timer_t timer;
	struct worker workers[THREADS];
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	sigset_t prof;

	memset(workers, 0, sizeof(workers));
	choose(&exact, "target_one", 1);
	need("ftrace_set_notrace", ftrace_set_notrace(&gops.ops, not_counted,
						      (int)strlen(not_counted), 1));
	need("register_ftrace_function", register_ftrace_function(&exact));
	sigaction(SIGPROF, &sa, NULL);
	/* Never in this thread: it changes code, and its handler would wait for itself. */
	sigemptyset(&prof);
	sigaddset(&prof, SIGPROF);
	pthread_sigmask(SIG_BLOCK, &prof, NULL);
	for (int i = 0; i < THREADS; i++) {
		workers[i].block_signals = i == 0;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			selftest_give_up("pthread_create failed");
	}
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &every, NULL))
		selftest_give_up("timer_create failed");
	for (unsigned long round = 0; round < rounds; round++) {
		one_round(round, &ops, &exact, &gops);
		if (selftest_rounds && isatty(2) && round % 100 == 0)
			fprintf(stderr, "\r%lu of %lu rounds ", round, rounds);
	}
	if (selftest_rounds && isatty(2))
		fprintf(stderr, "\r%30s\r", "");
	/* There may be so much else to do that some had no turn yet. */
	for (int i = 0; i < 30000 && !all_have_run(workers); i++)
		usleep(1000);
	__atomic_store_n(&stop_now, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < THREADS; i++) {
		char what[64];

		pthread_join(workers[i].thread, NULL);
		snprintf(what, sizeof(what), "wrong results in thread %d", i);
		expect(what, workers[i].wrong, 0);
		snprintf(what, sizeof(what), "calls seen in thread %d, never turned off", i);
		expect(what, workers[i].counted, workers[i].counted_calls);
		if (!workers[i].laps)
			selftest_fail("thread %d never ran", i);
	}
	timer_delete(timer);
	need("unregister_ftrace_function", unregister_ftrace_function(&exact));
	if (!toggled_calls || !graph_entries || !graph_returns)
		selftest_fail("expected calls, entries and returns, got %ld, %ld and %ld",
			      toggled_calls, graph_entries, graph_returns);
	if (graph_returns > graph_entries)
		selftest_fail("expected at most as many returns as entries, got %ld and %ld",
			      graph_returns, graph_entries);
	if (!handled)
		selftest_fail("no signal arrived");
}

const struct selftest selftest_stress[] = {
	{ "code changes under load", stress, 120 },
	{ NULL, NULL, 0 }
};
