/* SPDX-License-Identifier: MIT */
/*
 * calls ROUNDS REPS [THREADS]
 *
 * Tiny functions and fib, without and with whatever tracing this process runs under, beside their
 * floors. BENCH_CPU in the environment: the processor to run on. With THREADS each of that many threads makes the tiny calls at once, beside one thread
 * alone: the numbers are then nanoseconds of wall time a call of all threads together. Each has a processor of its own
 * where there are as many: how soon the kernel moves threads apart is not what is to be measured.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "measure.h"
#include "sites.h"

#define FIB_N	20
static const double fib_calls = 21891;	/* 2 fib(n + 1) - 1 */

static volatile unsigned long sink;

static void run_plain_fib(void)
{
	sink = plain_fib(FIB_N);
}

static void run_traced_fib(void)
{
	sink = traced_fib(FIB_N);
}

static void run_clock2_fib(void)
{
	sink = fib_clock2(FIB_N);
}

#define MAX_THREADS	64

static int reps, nthreads;
static void (*thread_work)(void);
static pthread_barrier_t gate;
static pthread_t threads[MAX_THREADS];
static int finished;
static struct span {
	double start, end;
} spans[MAX_THREADS];

/* Run on the @k-th of the processors that this process may use, if it has as many as threads. */
static void go_apart(int k)
{
	cpu_set_t all, one;
	int cpu = 0;

	if (sched_getaffinity(getpid(), sizeof(all), &all) || CPU_COUNT(&all) < nthreads)
		return;
	while (!CPU_ISSET(cpu, &all) || k--)
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void *thread_main(void *arg)
{
	struct span *span = arg;

	go_apart((int)(span - spans));
	thread_work();
	for (;;) {
		pthread_barrier_wait(&gate);
		if (finished)
			return NULL;
		span->start = now_ns();
		for (int i = 0; i < reps; i++)
			thread_work();
		span->end = now_ns();
		pthread_barrier_wait(&gate);
	}
}

/* All threads once, from the first one's start to the last one's end: nanoseconds a call. */
static double run_threads(void)
{
	double start, end;

	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	start = spans[0].start;
	end = spans[0].end;
	for (int i = 1; i < nthreads; i++) {
		start = spans[i].start < start ? spans[i].start : start;
		end = spans[i].end > end ? spans[i].end : end;
	}
	return (end - start) / reps / nthreads / CALLS;
}

static double run_alone(void)
{
	double start = now_ns();

	for (int i = 0; i < reps; i++)
		thread_work();
	return (now_ns() - start) / reps / CALLS;
}

static int measure_threads(int rounds, const char *name, void (*work)(void))
{
	static double alone[MAX_ROUNDS], together[MAX_ROUNDS];

	thread_work = work;
	pthread_barrier_init(&gate, NULL, nthreads + 1);
	finished = 0;
	for (int i = 0; i < nthreads; i++) {
		if (pthread_create(&threads[i], NULL, thread_main, &spans[i])) {
			fprintf(stderr, "calls: cannot create a thread\n");
			return 1;
		}
	}
	work();
	run_threads();
	for (int r = 0; r < rounds; r++) {
		alone[r] = run_alone();
		together[r] = run_threads();
	}
	finished = 1;
	pthread_barrier_wait(&gate);
	for (int i = 0; i < nthreads; i++)
		pthread_join(threads[i], NULL);
	printf("%s1", name);
	for (int r = 0; r < rounds; r++)
		printf(" %.4f", alone[r]);
	printf("\n%s%d", name, nthreads);
	for (int r = 0; r < rounds; r++)
		printf(" %.4f", together[r]);
	printf("\n");
	return 0;
}

/* XRay, in the build that has it, records when told to and writes its records out when told to. */
__attribute__((weak)) int __xray_log_select_mode(const char *mode);
__attribute__((weak)) int __xray_log_init_mode(const char *mode, const char *config);
__attribute__((weak)) int __xray_log_finalize(void);
__attribute__((weak)) int __xray_log_flushLog(void);
__attribute__((weak)) int __xray_patch(void);

static void start_xray(void)
{
	if (!__xray_patch || !__xray_log_init_mode)
		return;
	__xray_log_select_mode("xray-fdr");
	fprintf(stderr, "xray: init %d", __xray_log_init_mode("xray-fdr",
							      "func_duration_threshold_us=0"));
	fprintf(stderr, ", patch %d\n", __xray_patch());
}

static void flush_xray(void)
{
	struct timespec grace = { .tv_nsec = 100000000 };

	if (!__xray_log_finalize || !__xray_log_flushLog)
		return;
	fprintf(stderr, "xray: finalize %d", __xray_log_finalize());
	nanosleep(&grace, NULL);	/* writers see it and let go */
	fprintf(stderr, ", flush %d\n", __xray_log_flushLog());
}

/* There only while this process is recorded by us: the library came with the agent. */
__attribute__((weak)) void ftrace_stop(void);
__attribute__((weak)) void ftrace_start(void);

int main(int argc, char **argv)
{
	struct kind kinds[] = {
		{ .name = "clock2", .run = run_clock2, .calls = CALLS },
		{ .name = "traced", .run = run_traced, .calls = CALLS },
		{ .name = "clock1", .run = run_clock1, .calls = CALLS },
		{ .name = "plain", .run = run_plain, .calls = CALLS },
		{ .name = "fib_clock2", .run = run_clock2_fib, .calls = fib_calls },
		{ .name = "fib_traced", .run = run_traced_fib, .calls = fib_calls },
		{ .name = "fib_plain", .run = run_plain_fib, .calls = fib_calls },
		/* The last one: only where recording can be paused. */
		{ .name = "paused", .prepare = ftrace_stop, .run = run_traced,
		  .finish = ftrace_start, .calls = CALLS },
	};
	int nkinds = sizeof(kinds) / sizeof(kinds[0]), rounds;
	const char *cpu = getenv("BENCH_CPU");

	if (argc < 3) {
		fprintf(stderr, "usage: calls ROUNDS REPS [THREADS]\n");
		return 2;
	}
	rounds = atoi(argv[1]);
	reps = atoi(argv[2]);
	if (rounds < 1 || rounds > MAX_ROUNDS || reps < 1) {
		fprintf(stderr, "calls: 1 to %d rounds, 1 or more repetitions\n", MAX_ROUNDS);
		return 2;
	}
	if (cpu) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(atoi(cpu), &set);
		if (sched_setaffinity(0, sizeof(set), &set)) {
			perror("calls: sched_setaffinity");
			return 1;
		}
	}
	if (argc > 3) {
		nthreads = atoi(argv[3]);
		if (nthreads < 1 || nthreads > MAX_THREADS)
			return 2;
		return measure_threads(rounds, "clock", run_clock2) ||
		       measure_threads(rounds, "plain", run_plain) ||
		       measure_threads(rounds, "traced", run_traced);
	}
	for (int k = 0; k < nkinds; k++)
		kinds[k].reps = kinds[k].calls == CALLS ? reps : reps / 5 + 1;
	if (!ftrace_stop || !ftrace_start)
		nkinds--;
	start_xray();
	measure(kinds, nkinds, rounds);
	flush_xray();
	return 0;
}
