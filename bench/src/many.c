/* SPDX-License-Identifier: MIT */
/*
 * A program with very many functions (many_N(), generated).
 *
 *	many start		prints CLOCK_MONOTONIC in ns as main() begins, makes a few calls, ends
 *	many toggle ROUNDS	(built with WITH_LIBFTRACE) nanoseconds to register and to unregister
 *				a callback for all of them while a thread calls them
 *	many threads N		makes N threads in turn, each making calls; prints what memory and
 *				mappings grew by between the first tenth and the end
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "many.h"	/* generated: MANY, int (*const many_table[MANY])(int) */

#ifdef WITH_LIBFTRACE
#include <ftrace/ftrace.h>
#endif

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static volatile int sink;

static void call_some(unsigned int *seed, int calls)
{
	for (int i = 0; i < calls; i++) {
		*seed = *seed * 1664525u + 1013904223u;
		sink = many_table[(*seed >> 8) % MANY](i);
	}
}

#ifdef WITH_LIBFTRACE
static volatile int running = 1;
static unsigned long hits;

static void count(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		  struct pt_regs *regs)
{
	(void)ip;
	(void)parent_ip;
	(void)op;
	(void)regs;
	__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
}

static void *caller(void *arg)
{
	unsigned int seed = 7;

	while (running)
		call_some(&seed, 1000);
	return arg;
}

static int toggle(int rounds)
{
	static double on[101], off[101];
	static struct ftrace_ops ops = { .func = count, .flags = FTRACE_OPS_FL_GENERAL_REGS };
	unsigned int seed = 3;
	pthread_t thread;
	int err;

	if (rounds > 101)
		rounds = 101;
	err = ftrace_set_filter(&ops, "many_*", strlen("many_*"), 1);
	if (err || pthread_create(&thread, NULL, caller, NULL)) {
		fprintf(stderr, "many: setting up failed: %s\n", strerror(-err));
		return 1;
	}
	for (int r = 0; r < rounds; r++) {
		double start = now_ns();
		unsigned long before;

		err = register_ftrace_function(&ops);
		on[r] = now_ns() - start;
		if (err) {
			fprintf(stderr, "many: register: %s\n", strerror(-err));
			return 1;
		}
		before = __atomic_load_n(&hits, __ATOMIC_RELAXED);
		call_some(&seed, 1000);
		if (__atomic_load_n(&hits, __ATOMIC_RELAXED) - before < 1000) {
			fprintf(stderr, "many: on, but calls are missing\n");
			return 1;
		}
		start = now_ns();
		err = unregister_ftrace_function(&ops);
		off[r] = now_ns() - start;
		if (err) {
			fprintf(stderr, "many: unregister: %s\n", strerror(-err));
			return 1;
		}
	}
	running = 0;
	pthread_join(thread, NULL);
	printf("on");
	for (int r = 0; r < rounds; r++)
		printf(" %.0f", on[r]);
	printf("\noff");
	for (int r = 0; r < rounds; r++)
		printf(" %.0f", off[r]);
	printf("\n");
	return 0;
}
#endif

static void *short_thread(void *arg)
{
	unsigned int seed = (unsigned long)arg;

	call_some(&seed, 100);
	return NULL;
}

/* Mappings and resident pages of this process. */
static void usage(long *maps, long *resident)
{
	FILE *file = fopen("/proc/self/maps", "r");
	int c;

	*maps = *resident = 0;
	if (file) {
		while ((c = getc(file)) != EOF)
			*maps += c == '\n';
		fclose(file);
	}
	file = fopen("/proc/self/statm", "r");
	if (file) {
		if (fscanf(file, "%*d %ld", resident) != 1)
			*resident = 0;
		fclose(file);
	}
}

static int threads(long n)
{
	long maps0, resident0, maps1, resident1;

	for (long i = 0; i < n; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, short_thread, (void *)i)) {
			fprintf(stderr, "many: cannot create thread %ld\n", i);
			return 1;
		}
		pthread_join(thread, NULL);
		if (i == n / 10)
			usage(&maps0, &resident0);
	}
	usage(&maps1, &resident1);
	printf("maps %ld\npages %ld\n", maps1 - maps0, resident1 - resident0);
	return 0;
}

int main(int argc, char **argv)
{
	double begin = now_ns();
	unsigned int seed = 1;

	if (argc >= 2 && !strcmp(argv[1], "start")) {
		printf("main %.0f\n", begin);
		call_some(&seed, 10);
		return 0;
	}
	if (argc >= 2 && !strcmp(argv[1], "wait")) {
		printf("main %.0f\n", begin);
		fflush(stdout);
		while (getchar() != EOF)
			call_some(&seed, 10);
		return 0;
	}
	if (argc >= 3 && !strcmp(argv[1], "threads"))
		return threads(atol(argv[2]));
#ifdef WITH_LIBFTRACE
	if (argc >= 3 && !strcmp(argv[1], "toggle"))
		return toggle(atoi(argv[2]));
#endif
	fprintf(stderr, "usage: many start|wait|toggle ROUNDS|threads N\n");
	return 2;
}
