/* SPDX-License-Identifier: MIT */
/* Known numbers of calls: fib(20) is 21891, leaf 100000, caller 50000, main 1. */
#include "t.h"

NOINLINE long fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
NOINLINE long leaf(long n) { KEEP(); return n + 1; }
NOINLINE long caller(long n) { long r = leaf(n); KEEP(); return leaf(r) + 1; }

int main(void)
{
	long n = 0;

	for (int i = 0; i < 50000; i++)
		n = caller(n);
	printf("%ld %ld\n", fib(20), n);
	return 0;
}
