/* SPDX-License-Identifier: MIT */
/* Other calling conventions and what callers may keep where: ms_abi, -fipa-ra, naked return values. */
#include "t.h"

__attribute__((ms_abi)) NOINLINE double ms(long a, double b, long c, double d, long e, double f)
{
	KEEP();
	return a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6;
}
static NOINLINE long tiny(long x) { return x ^ 0x55; }	/* -fipa-ra: clobbers rax and flags only */
static NOINLINE long keeps(long a, long b, long c, long d, long e, long f)
{
	long r = 0;

	/* With -fipa-ra these stay in r8-r11, rcx, rsi across the calls. */
	for (int i = 0; i < 10; i++) {
		r += tiny(a + i) * b;
		r ^= tiny(c) + d * e;
		r += f;
	}
	return r + a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6;
}
static NOINLINE double vector_keeps(double a, double b, double c, double d)
{
	double r = 0;

	for (int i = 0; i < 10; i++)
		r += tiny(i) * a + b * c - d;
	return r + a + b + c + d;
}

int main(void)
{
	volatile long n = 3;
	long sum = 0;
	double fp = 0;

	for (int i = 0; i < 1000; i++) {
		sum += keeps(n, i, n + 2, n + 3, i + 4, n + 5);
		fp += vector_keeps(n, i, 2.5, 0.125);
		fp += ms(n, 1.5, i, 2.5, n, 3.5);
	}
	printf("%ld %a\n", sum, fp);
	return 0;
}
