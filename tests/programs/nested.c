/* SPDX-License-Identifier: MIT */
/* GNU C nested functions: the static chain is in r10 at their entry. */
#include "t.h"

NOINLINE long apply(long (*f)(long), long n) { long r = f(n); KEEP(); return r; }
NOINLINE long outer(long n)
{
	long local = n * 3, calls = 0;
	NOINLINE long inner(long x)
	{
		NOINLINE long innermost(long y) { KEEP(); calls++; return y + local; }

		KEEP();
		calls++;
		return innermost(x) + apply(innermost, x) + local;
	}
	long r = inner(n) + apply(inner, n + 1);

	return r * 10 + calls;
}

int main(void)
{
	long sum = 0;

	for (long i = 0; i < 1000; i++)
		sum += outer(i);
	printf("%ld\n", sum);
	return 0;
}
