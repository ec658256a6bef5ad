/* SPDX-License-Identifier: MIT */
/* The traced functions of the self test: what each does is all that matters about it. */
#ifndef FTRACE_SELFTEST_TARGETS_H
#define FTRACE_SELFTEST_TARGETS_H

#include <setjmp.h>

void target_one(void);
void target_two(void);

long target_sum(long a, long b, long c, long d, long e, long f, long g, long h);
long target_product(long a, long b);			/* a * b */
double target_scale(double a, double b);		/* a * b + 1 */

struct target_pair {
	double a, b;
};
struct target_pair target_swap(double a, double b);	/* { b, a } */

/* Calls target_inner() @n times; the sum of what it returned. */
long target_outer(long n);
long target_inner(long n);				/* n + 1 */
long target_recursive(long n);				/* calls itself n times, returns n */

/* The first tail-calls the second, that one the third, which returns n + 3. */
long target_tail_first(long n);
long target_tail_second(long n);
long target_tail_third(long n);

/* Leaves through @env after a call of its own. */
void target_jumper(jmp_buf *env);
void target_jumps(jmp_buf *env);

/* Calls @func; for functions of an object that was loaded. */
long target_calls(long (*func)(long), long n);

/* A crowd of functions: the nth returns its argument plus n. */
#define TARGET_CROWD	512
extern long (*const target_crowd[TARGET_CROWD])(long);

#endif /* FTRACE_SELFTEST_TARGETS_H */
