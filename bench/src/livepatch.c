/* SPDX-License-Identifier: MIT */
/*
 * livepatch ROUNDS REPS: what a call of a replaced function costs, beside plain ones, and during a
 * transition, in a thread that has gone over and in one that has not, and what an empty callback costs there; how long a transition takes in a process of 100 threads,
 * half of them blocked, and the longest that any of them was stopped meanwhile.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <ftrace/livepatch.h>

#include "measure.h"

int patched(int x);
int wait_in(int fd);
void call_in(void (*func)(void));

__attribute__((noinline)) static int plain(int x)
{
	__asm__ volatile("");
	return x + 1;
}

__attribute__((noinline)) static int replacement(int x)
{
	__asm__ volatile("");
	return x + 1;
}

static int wait2(int fd)
{
	return fd;
}

static struct klp_func funcs[] = { { .old_name = "patched", .new_func = replacement }, { } };
static struct klp_object objs[] = { { .funcs = funcs }, { } };
static struct klp_patch patch = { .name = "bench", .objs = objs };
static void call_in2(void (*func)(void))
{
	func();
}

static struct klp_func own_funcs[] = { { .old_name = "patched", .new_func = replacement },
				       { .old_name = "call_in", .new_func = call_in2 }, { } };
static struct klp_object own_objs[] = { { .funcs = own_funcs }, { } };
static struct klp_patch own = { .name = "own", .objs = own_objs };
static struct klp_func held_funcs[] = { { .old_name = "patched", .new_func = replacement },
					{ .old_name = "wait_in", .new_func = wait2 }, { } };
static struct klp_object held_objs[] = { { .funcs = held_funcs }, { } };
static struct klp_patch held = { .name = "held", .objs = held_objs };

static void check(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "livepatch: %s: error %d\n", what, err);
	exit(1);
}

#define CALLS	1000

static volatile int sink;

static void call_plain(void)
{
	for (int i = 0; i < CALLS; i++)
		sink = plain(i);
}

static void call_patched(void)
{
	for (int i = 0; i < CALLS; i++)
		sink = patched(i);
}

static void enable(void)
{
	check(klp_enable_patch(&patch), "enable");
	check(klp_wait_transition(2000), "transition");
}

static void disable(void)
{
	check(klp_disable_patch(&patch), "disable");
	check(klp_wait_transition(2000), "transition");
}

static void empty(unsigned long ip, unsigned long parent, struct ftrace_ops *op, struct pt_regs *regs)
{
}

static struct ftrace_ops empty_ops = { .func = empty };

static void trace(void)
{
	check(register_ftrace_function(&empty_ops), "register");
}

static void untrace(void)
{
	check(unregister_ftrace_function(&empty_ops), "unregister");
}

/* A thread that blocks in a function of the patch keeps its transition going. */
static int hold_fds[2];
static pthread_t holder;

static void *hold(void *arg)
{
	wait_in(hold_fds[0]);
	return NULL;
}

static void begin_held(void)
{
	if (pipe(hold_fds))
		exit(1);
	pthread_create(&holder, NULL, hold, NULL);
	usleep(20000);
	check(klp_enable_patch(&held), "enable");
	if (klp_transition_work() != 1) {
		fprintf(stderr, "livepatch: the transition was not held up\n");
		exit(1);
	}
}

static void end_held(void)
{
	if (write(hold_fds[1], "x", 1) != 1)
		exit(1);
	pthread_join(holder, NULL);
	close(hold_fds[0]);
	close(hold_fds[1]);
	check(klp_wait_transition(2000), "transition");
	check(klp_disable_patch(&held), "disable");
	check(klp_wait_transition(2000), "transition");
}

/* In call_in(), where this thread holds up the transition itself. */
static void begin_own(void)
{
	check(klp_enable_patch(&own), "enable");
	if (klp_transition_work() != 1) {
		fprintf(stderr, "livepatch: the transition was not held up by its own thread\n");
		exit(1);
	}
}

static void end_own(void)
{
	check(klp_disable_patch(&own), "disable");
	check(klp_wait_transition(2000), "transition");
}

static int rounds, reps;

static void measure_before(void)
{
	struct kind kinds[] = {
		{ "callback_before", trace, call_patched, untrace, CALLS, reps, { 0 } },
		{ "transition_before", begin_own, call_patched, end_own, CALLS, reps, { 0 } },
	};

	measure(kinds, sizeof(kinds) / sizeof(kinds[0]), rounds);
}

static volatile int stop;
static int block_fds[2];

static void *block(void *arg)
{
	char c;

	return (void *)(long)read(block_fds[0], &c, 1);
}

/* As busy as a server's: it does something, and pauses. */
static void *work(void *arg)
{
	while (!stop) {
		for (int i = 0; i < 1000; i++)
			sink = patched(i);
		usleep(1000);
	}
	return NULL;
}

#define THREADS	100

/* The library's own count of how often and how long threads were stopped (engine/site.h). */
extern struct {
	unsigned long long count, last_ns, max_ns, total_ns;
} ftrace_stops;

static void transitions(void)
{
	static pthread_t threads[THREADS];

	if (pipe(block_fds))
		exit(1);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, i % 2 ? work : block, NULL);
	usleep(50000);
	ftrace_stops.max_ns = 0;
	printf("transition_us");
	for (int i = 0; i < 2 * rounds; i++) {
		double begin = now_ns();

		if (i % 2)
			disable();
		else
			enable();
		printf(" %.1f", (now_ns() - begin) / 1e3);
	}
	printf("\nstop_us %.1f\n", (double)ftrace_stops.max_ns / 1e3);
	stop = 1;
	close(block_fds[1]);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	rounds = argc > 1 ? atoi(argv[1]) : 3;
	reps = argc > 2 ? atoi(argv[2]) : 400;
	struct kind kinds[] = {
		{ "plain", NULL, call_plain, NULL, CALLS, reps, { 0 } },
		{ "unpatched", NULL, call_patched, NULL, CALLS, reps, { 0 } },
		{ "patched", enable, call_patched, disable, CALLS, reps, { 0 } },
		{ "callback", trace, call_patched, untrace, CALLS, reps, { 0 } },
		{ "transition", begin_held, call_patched, end_held, CALLS, reps, { 0 } },
	};

	check(ftrace_set_filter(&empty_ops, "patched", 7, 1), "filter");
	measure(kinds, sizeof(kinds) / sizeof(kinds[0]), rounds);
	call_in(measure_before);
	transitions();
	return 0;
}
