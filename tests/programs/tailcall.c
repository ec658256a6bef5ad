/* SPDX-License-Identifier: MIT */
/* Tail calls: a mutual recursion of 500,000 steps, chains, through pointers. Build with -O2. */
#include "t.h"

NOINLINE long even(long n, long sum);
NOINLINE long odd(long n, long sum)
{
	return n == 0 ? sum : even(n - 1, sum + 1);
}
NOINLINE long even(long n, long sum)
{
	return n == 0 ? sum : odd(n - 1, sum + 2);
}

typedef long (*step)(long);
NOINLINE long last(long x) { KEEP(); return x * 3; }
NOINLINE long third(long x) { return last(x + 3); }
NOINLINE long second(long x) { return third(x + 2); }
NOINLINE long first(long x) { return second(x + 1); }
static step volatile pointer = first;
NOINLINE long through(long x) { return pointer(x ^ 5); }
NOINLINE long mixed(long x) { long r = through(x); KEEP(); return r + first(x); }

int main(void)
{
	long sum = 0;

	printf("%ld\n", even(500000, 0));
	for (long i = 0; i < 1000; i++)
		sum += mixed(i);
	printf("%ld\n", sum);
	return 0;
}
