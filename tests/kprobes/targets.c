/* SPDX-License-Identifier: MIT */
#include <setjmp.h>

#include "targets.h"

#define NOINLINE __attribute__((noinline, noclone))

NOINLINE int target_add(int a, int b)
{
	__asm__ volatile("" : "+r"(a));
	return a + b;
}

NOINLINE int target_twice(int a)
{
	int sum = target_add(a, a);

	__asm__ volatile("" : "+r"(sum));
	return sum;
}

NOINLINE int target_other(int a)
{
	__asm__ volatile("" : "+r"(a));
	return a + 1000;
}

NOINLINE double target_half(double x)
{
	return x / 2;
}

NOINLINE int target_recurse(int n)
{
	int below = n ? target_recurse(n - 1) : 0;

	__asm__ volatile("" : "+r"(below));
	return n ? below + 1 : 0;
}

NOINLINE void target_jump(void *env)
{
	longjmp(*(jmp_buf *)env, 1);
}

NOINLINE int target_call(int (*func)(int), int a)
{
	int got = func(a);

	__asm__ volatile("" : "+r"(got));
	return got;
}
