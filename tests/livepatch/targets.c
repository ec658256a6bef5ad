/* SPDX-License-Identifier: MIT */
/* Functions that are patched; compiled for tracing, as nothing else of the tests is. */
#include "targets.h"

__attribute__((noinline)) long target_add(long a, long b)
{
	return a + b;
}

__attribute__((noinline)) long target_twice(long a)
{
	return 2 * a;
}

__attribute__((noinline)) long target_eight(long a, long b, long c, long d, long e, long f, long g,
					    long h)
{
	return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h;
}
