/* SPDX-License-Identifier: MIT */
/*
 * narrow ROUNDS REPS: tiny functions and fib of a 32-bit program, beside their floor. The runs are
 * made by bench/narrow.py: CALLS calls of the functions of sites.c in random order.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "measure.h"
#include "sites.h"

#define SITE(n)	void traced_site##n(void); void plain_site##n(void);
#include "sites.inc"
#undef SITE

static void plain(void)
{
#define SITE(n)	plain_site##n();
#include "order.inc"
#undef SITE
}

static void traced(void)
{
#define SITE(n)	traced_site##n();
#include "order.inc"
#undef SITE
}

static void clock2(void)
{
#define SITE(n)	asm volatile("rdtsc\n\trdtsc" : : : "eax", "edx");
#include "order.inc"
#undef SITE
}

static volatile unsigned long sink;

static void fib(void)
{
	sink = traced_fib(20);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 3, reps = argc > 2 ? atoi(argv[2]) : 100;
	struct kind kinds[] = {
		{ .name = "plain", .run = plain, .calls = CALLS, .reps = reps },
		{ .name = "clock2", .run = clock2, .calls = CALLS, .reps = reps },
		{ .name = "traced", .run = traced, .calls = CALLS, .reps = reps },
		{ .name = "fib_traced", .run = fib, .calls = 21891, .reps = reps / 5 + 1 },
	};
	const char *cpu = getenv("BENCH_CPU");
	cpu_set_t set;

	if (cpu) {
		CPU_ZERO(&set);
		CPU_SET(atoi(cpu), &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	measure(kinds, sizeof(kinds) / sizeof(kinds[0]), rounds);
	return 0;
}
