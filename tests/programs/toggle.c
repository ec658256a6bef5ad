/* SPDX-License-Identifier: MIT */
/*
 * usage: toggle WHAT TOGGLES [general]
 *
 * Turns hundreds of sites on and off through the library's API while threads run through them, one
 * of them with every signal blocked. WHAT: register (register/unregister), filter
 * (ftrace_set_filter with reset on a registered ops), graph (register/unregister_ftrace_graph), mixed (all
 * of them, several ops at once), threads (two threads toggling ops of their own). general: callbacks of two of
 * the ops say that they change no vector register. Checks that
 * every call returns the right value, that no callback runs after an unregister returned, and
 * that counts are exact whenever nobody toggles.
 */
#include "t.h"
#include <ftrace/fgraph.h>
#include <pthread.h>
#include <signal.h>

#define F(n)	NOINLINE long function_##n(long x); NOINLINE long function_##n(long x) { KEEP(); return x + 0x##n; }
#define F16(p)	F(p##0) F(p##1) F(p##2) F(p##3) F(p##4) F(p##5) F(p##6) F(p##7) F(p##8) F(p##9)	\
		F(p##a) F(p##b) F(p##c) F(p##d) F(p##e) F(p##f)
#define F256(p)	F16(p##0) F16(p##1) F16(p##2) F16(p##3) F16(p##4) F16(p##5) F16(p##6) F16(p##7)	\
		F16(p##8) F16(p##9) F16(p##a) F16(p##b) F16(p##c) F16(p##d) F16(p##e) F16(p##f)
F256(1) F256(2)
#undef F
#define F(n)	function_##n,
static long (*const functions[])(long) = { F256(1) F256(2) };
#define COUNT	512

static volatile int stop, pause_threads;
static int paused;
static long bad_values, late;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
#define RUNNERS 3

static UNTRACED long expected(int i) { return 0x100 + (i >> 8) * 0x100 + (i & 255); }

static UNTRACED void *runner(void *arg)
{
	unsigned int random = 12345 + (unsigned int)(long)arg;
	sigset_t all;

	if ((long)arg == 0) {
		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, NULL);
	}
	while (!stop) {
		for (int k = 0; k < 256; k++) {
			int i = (random = random * 1103515245 + 12345) >> 16 & (COUNT - 1);

			if (functions[i](k) != k + expected(i))
				__atomic_fetch_add(&bad_values, 1, __ATOMIC_SEQ_CST);
		}
		if (pause_threads) {
			pthread_mutex_lock(&lock);
			paused++;
			pthread_cond_broadcast(&changed);
			while (pause_threads)
				pthread_cond_wait(&changed, &lock);
			paused--;
			pthread_cond_broadcast(&changed);
			pthread_mutex_unlock(&lock);
		}
	}
	return NULL;
}

static UNTRACED void quiesce(void)
{
	pthread_mutex_lock(&lock);
	pause_threads = 1;
	while (paused < RUNNERS)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static UNTRACED void go_on(void)
{
	pthread_mutex_lock(&lock);
	pause_threads = 0;
	pthread_cond_broadcast(&changed);
	while (paused)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

/* ops->private points here. */
struct user {
	unsigned long calls, returns;
	int dead;
};

#ifndef __s390__
#define CALLBACK __attribute__((noinline, patchable_function_entry(0), target("general-regs-only")))
#else
#define CALLBACK UNTRACED
#endif

static CALLBACK void hit(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
			 struct pt_regs *regs)
{
	struct user *user = op->private;

	(void)ip, (void)parent_ip, (void)regs;
	if (user->dead)
		__atomic_fetch_add(&late, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&user->calls, 1, __ATOMIC_SEQ_CST);
	for (volatile int i = 0; i < 20; i++)
		;
	if (user->dead)
		__atomic_fetch_add(&late, 1, __ATOMIC_SEQ_CST);
}

static UNTRACED int enter(struct ftrace_graph_ent *trace, struct fgraph_ops *gops,
			  struct pt_regs *regs)
{
	struct user *user = gops->private;

	(void)trace, (void)regs;
	if (user->dead)
		__atomic_fetch_add(&late, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&user->calls, 1, __ATOMIC_SEQ_CST);
	return 1;
}

static UNTRACED void leave(struct ftrace_graph_ret *trace, struct fgraph_ops *gops,
			   struct pt_regs *regs)
{
	struct user *user = gops->private;

	(void)trace, (void)regs;
	if (user->dead)
		__atomic_fetch_add(&late, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&user->returns, 1, __ATOMIC_SEQ_CST);
}

static struct user users[4];
static struct ftrace_ops one = { .func = hit, .private = &users[0] };
static struct ftrace_ops two = { .func = hit, .private = &users[1], .flags = FTRACE_OPS_FL_SAVE_REGS };
static struct fgraph_ops graph = { .entryfunc = enter, .retfunc = leave, .private = &users[2] };
static struct ftrace_ops three = { .func = hit, .private = &users[3] };

#define MUST(call)								\
	do {									\
		int error_ = (call);						\
		if (error_) {							\
			printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, strerror(-error_));	\
			fflush(stdout);						\
			_exit(98);						\
		}								\
	} while (0)

static UNTRACED void on(struct ftrace_ops *ops)
{
	((struct user *)ops->private)->dead = 0;
	MUST(register_ftrace_function(ops));
}
static UNTRACED void off(struct ftrace_ops *ops)
{
	MUST(unregister_ftrace_function(ops));
	((struct user *)ops->private)->dead = 1;
}
static UNTRACED void graph_on(void)
{
	users[2].dead = 0;
	MUST(register_ftrace_graph(&graph));
}
static UNTRACED void graph_off(void)
{
	MUST(unregister_ftrace_graph(&graph));
	users[2].dead = 1;
}
static UNTRACED void filter(struct ftrace_ops *ops, const char *pattern)
{
	MUST(ftrace_set_filter(ops, pattern, (int)strlen(pattern), 1));
}

/* Nobody runs: every function once, @expected of them are counted in *counter. */
static UNTRACED void exact(unsigned long *counter, unsigned long expected_calls, const char *what)
{
	unsigned long before = *counter;

	for (int i = 0; i < COUNT; i++)
		if (functions[i](7) != 7 + expected(i))
			bad_values++;
	if (*counter - before != expected_calls) {
		printf("%s: %lu calls counted, %lu made\n", what, *counter - before, expected_calls);
		fflush(stdout);
		_exit(97);
	}
}

static const char *const patterns[] = { "function_*", "function_1*", "function_2?a", "function_1[0-3]?" };
static const unsigned long matches[] = { 512, 256, 16, 64 };
static int toggles;

static UNTRACED void *toggler(void *arg)
{
	for (int i = 0; i < toggles; i++) {
		filter(arg, patterns[i % 4]);
		on(arg);
		off(arg);
	}
	return NULL;
}

UNTRACED int main(int argc, char **argv)
{
	pthread_t ids[RUNNERS], other;
	const char *what = argc > 1 ? argv[1] : "";
	int all = !strcmp(what, "mixed");

	toggles = argc > 2 ? atoi(argv[2]) : 1000;
	if (argc > 3 && !strcmp(argv[3], "general"))
		one.flags = three.flags = FTRACE_OPS_FL_GENERAL_REGS;
	filter(&one, "function_*");
	filter(&two, "function_*");
	filter(&three, "function_*");
	filter(&graph.ops, "function_*");
	for (long i = 0; i < RUNNERS; i++)
		CHECK(pthread_create(&ids[i], NULL, runner, (void *)i) == 0);

	if (!strcmp(what, "threads")) {
		CHECK(pthread_create(&other, NULL, toggler, &three) == 0);
		toggler(&one);
		pthread_join(other, NULL);
	}
	for (int i = 0; i < toggles && strcmp(what, "threads"); i++) {
		int p = i % 4, check = i % 50 == 0;

		if (!strcmp(what, "register") || all) {
			on(&two);
			if (check) {
				quiesce();
				exact(&users[1].calls, COUNT, "registered");
				go_on();
			}
		}
		if (!strcmp(what, "filter") || all) {
			if (i == 0)
				on(&one);
			filter(&one, patterns[p]);
			if (check || i % 50 == 1 || i % 50 == 2) {
				quiesce();
				exact(&users[0].calls, matches[p], patterns[p]);
				go_on();
			}
		}
		if (!strcmp(what, "graph") || all) {
			graph_on();
			if (check) {
				quiesce();
				exact(&users[2].calls, COUNT, "graph entries");
				exact(&users[2].returns, COUNT, "graph returns");
				go_on();
			}
			graph_off();
		}
		if (!strcmp(what, "register") || all) {
			off(&two);
			if (check) {
				quiesce();
				exact(&users[1].calls, 0, "unregistered");
				exact(&users[2].calls, 0, "graph unregistered");
				go_on();
			}
		}
	}
	if (!strcmp(what, "filter") || all)
		off(&one);
	quiesce();
	for (int i = 0; i < 4; i++)
		exact(&users[i].calls, 0, "all off");
	stop = 1;
	go_on();
	for (int i = 0; i < RUNNERS; i++)
		pthread_join(ids[i], NULL);
	printf("bad values %ld, callbacks after unregister %ld, called %s\n", bad_values, late,
	       users[0].calls + users[1].calls + users[2].calls + users[3].calls ? "yes" : "no");
	return bad_values || late;
}
