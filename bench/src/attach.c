/* SPDX-License-Identifier: MIT */
/*
 * A process to be attached to: 100 threads, half of them blocked, half waking all the time, and two functions.
 * For each line of input it prints what a call of each of them takes, in rounds ("chosen ns ...", "other ns ...",
 * then "done").
 */
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "measure.h"

#define THREADS	100
#define ROUNDS	21
#define CALLS	200000

__attribute__((noinline)) unsigned long chosen(unsigned long x)
{
	__asm__ volatile("");
	return x * 3 + 1;
}

__attribute__((noinline)) unsigned long other(unsigned long x)
{
	__asm__ volatile("");
	return x * 3 + 1;
}

static void *waits(void *arg)
{
	for (;;)
		poll(NULL, 0, arg ? -1 : 10);
	return NULL;
}

static double time_calls(unsigned long (*func)(unsigned long x))
{
	double from = now_ns();
	unsigned long x = 0;

	for (int i = 0; i < CALLS; i++)
		x = func(x);
	return (now_ns() - from) / CALLS;
}

static void measure_calls(void)
{
	static double ns[2][ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		ns[0][i] = time_calls(chosen);
		ns[1][i] = time_calls(other);
	}
	for (int k = 0; k < 2; k++) {
		printf(k ? "other" : "chosen");
		for (int i = 0; i < ROUNDS; i++)
			printf(" %.3f", ns[k][i]);
		putchar('\n');
	}
	puts("done");
	fflush(stdout);
}

int main(void)
{
	pthread_t thread;
	char line[16];

	for (long i = 0; i < THREADS - 1; i++)
		if (pthread_create(&thread, NULL, waits, (void *)(i % 2)))
			return 1;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		measure_calls();
	_exit(0);
}
