/* SPDX-License-Identifier: MIT */
/*
 * Timing inside the measured process: every kind is run in every round, so that a change of the
 * machine's speed hits all of them, and each round gives one number a kind.
 *
 * Output: lines "NAME ns ns ns ...", one number a round, nanoseconds a call.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_ROUNDS	101

struct kind {
	const char *name;
	void (*prepare)(void);	/* may be NULL; not timed */
	void (*run)(void);
	void (*finish)(void);	/* may be NULL; not timed */
	double calls;		/* of one run */
	int reps;		/* runs a round */
	double ns[MAX_ROUNDS];
};

static inline double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static inline void measure(struct kind *kinds, int nkinds, int rounds)
{
	if (rounds > MAX_ROUNDS)
		rounds = MAX_ROUNDS;
	for (int r = 0; r < rounds; r++) {
		for (int k = 0; k < nkinds; k++) {
			struct kind *kind = &kinds[k];
			double start;

			if (kind->prepare)
				kind->prepare();
			kind->run();	/* warm caches, predictors, first-time paths */
			start = now_ns();
			for (int i = 0; i < kind->reps; i++)
				kind->run();
			kind->ns[r] = (now_ns() - start) / kind->reps / kind->calls;
			if (kind->finish)
				kind->finish();
		}
	}
	for (int k = 0; k < nkinds; k++) {
		printf("%s", kinds[k].name);
		for (int r = 0; r < rounds; r++)
			printf(" %.4f", kinds[k].ns[r]);
		printf("\n");
	}
}

#endif
