/* SPDX-License-Identifier: MIT */
#ifndef BENCH_SITES_H
#define BENCH_SITES_H

#ifdef PLAIN
#define NAME(name)	plain_##name
#else
#define NAME(name)	traced_##name
#endif

unsigned long traced_fib(unsigned long n);
unsigned long plain_fib(unsigned long n);

#include "patterns.h"	/* generated: CALLS, of one of the runs below, straight-line, in random order */

/* In the generated patterns.S: */
void run_plain(void);		/* calls of plain_site*() */
void run_traced(void);		/* the same calls of traced_site*() */
void run_clock2(void);		/* two rdtsc for each call: the floor of an entry and an exit */
void run_clock1(void);		/* one rdtsc and the plain call: the floor of an entry */
void run_save16(void);		/* a site that calls a save and restore of 16 registers and flags */
void run_save9(void);		/* of 9 registers */
void run_call16(void);		/* the same with a call of an empty function in between */
void run_call9(void);
unsigned long fib_clock2(unsigned long n);	/* plain fib with rdtsc at entry and at exit */

#endif
