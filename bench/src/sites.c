/* SPDX-License-Identifier: MIT */
/*
 * The functions whose tracing is measured: SITES functions that do nothing, and fib(). Compiled
 * once for each tool with its instrumentation, and once without under other names (NAME()).
 */
#include "sites.h"

#define SITE(n)	__attribute__((noinline)) void NAME(site##n)(void) { asm volatile(""); }
#include "sites.inc"

/* The barriers keep both calls real: no recursion is turned into a loop. */
__attribute__((noinline)) unsigned long NAME(fib)(unsigned long n)
{
	unsigned long a, b;

	if (n < 2)
		return n;
	a = NAME(fib)(n - 1);
	asm volatile("" : "+r"(a));
	b = NAME(fib)(n - 2);
	asm volatile("" : "+r"(b));
	return a + b;
}
