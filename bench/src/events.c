/* SPDX-License-Identifier: MIT */
/*
 * events ROUNDS REPS: functions with an event each, which bench/events.py defines, beside what the least of it costs.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "measure.h"

#define CALLS		1000
#define NOINLINE	__attribute__((noinline, noclone))
#define PLAIN		NOINLINE __attribute__((patchable_function_entry(0)))

PLAIN long plain(long n) { asm volatile(""); return n; }
NOINLINE long integer(long n) { asm volatile(""); return n; }
NOINLINE long returns(long n) { asm volatile(""); return n; }
NOINLINE long filtered(long n) { asm volatile(""); return n; }
NOINLINE long literal(const char *s) { asm volatile(""); return *s; }
NOINLINE long heap(const char *s) { asm volatile(""); return *s; }

static char *text;

#define RUN(name, call)	PLAIN static void name(void) { for (long i = 0; i < CALLS; i++) call; }
RUN(run_plain, plain(i))
RUN(run_clock, ({ asm volatile("rdtsc" : : : "eax", "edx"); plain(i); }))
RUN(run_integer, integer(i))
RUN(run_returns, returns(i))
RUN(run_filtered, filtered(i))
RUN(run_literal, literal("a string of 26 letters ..."))
RUN(run_heap, heap(text))

PLAIN static void run_readv(void)
{
	char buf[64];
	pid_t pid = getpid();

	for (long i = 0; i < CALLS; i++) {
		struct iovec to = { buf, 27 }, from = { text, 27 };

		process_vm_readv(pid, &to, 1, &from, 1, 0);
	}
}

PLAIN int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 3, reps = argc > 2 ? atoi(argv[2]) : 100;
	struct kind kinds[] = {
		{ .name = "plain", .run = run_plain, .calls = CALLS, .reps = reps },
		{ .name = "clock", .run = run_clock, .calls = CALLS, .reps = reps },
		{ .name = "readv", .run = run_readv, .calls = CALLS, .reps = reps },
		{ .name = "integer", .run = run_integer, .calls = CALLS, .reps = reps },
		{ .name = "returns", .run = run_returns, .calls = CALLS, .reps = reps },
		{ .name = "filtered", .run = run_filtered, .calls = CALLS, .reps = reps },
		{ .name = "literal", .run = run_literal, .calls = CALLS, .reps = reps },
		{ .name = "heap", .run = run_heap, .calls = CALLS, .reps = reps },
	};
	const char *cpu = getenv("BENCH_CPU");
	cpu_set_t set;

	if (cpu) {
		CPU_ZERO(&set);
		CPU_SET(atoi(cpu), &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	text = strdup("a string of 26 letters ...");
	measure(kinds, sizeof(kinds) / sizeof(kinds[0]), rounds);
	return 0;
}
