/* SPDX-License-Identifier: MIT */
/*
 * usage: endless MILLISECONDS FILE
 *
 * Writes "running PID\n" to FILE when its two threads run, calls traced functions for that long, then
 * adds the line "done" (or "wrong"), and ends with 9.
 */
#include "t.h"
#include <pthread.h>
#include <time.h>

static volatile int stop;
NOINLINE long leaf(long n) { KEEP(); return n + 1; }
NOINLINE long work(long n) { long r = leaf(n); KEEP(); return leaf(r); }
static void *thread(void *arg)
{
	long n = 0, rounds = 0;

	(void)arg;
	while (!stop) {
		n = work(n);
		rounds++;
	}
	return (void *)(n == rounds * 2 ? 1L : 0L);
}

int main(int argc, char **argv)
{
	pthread_t ids[2];
	long right = 0, milliseconds = atol(argv[1]);
	struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000 };
	FILE *file = fopen(argv[2], "w");

	CHECK(argc == 3 && file);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&ids[i], NULL, thread, NULL) == 0);
	fprintf(file, "running %d\n", (int)getpid());
	fflush(file);
	nanosleep(&time, NULL);
	stop = 1;
	for (int i = 0; i < 2; i++) {
		void *value;

		pthread_join(ids[i], &value);
		right += (long)value;
	}
	fprintf(file, "%s\n", right == 2 ? "done" : "wrong");
	fclose(file);
	return 9;
}
