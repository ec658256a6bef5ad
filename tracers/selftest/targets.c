/* SPDX-License-Identifier: MIT */
/* Compiled with room for a jump at each entry; the rest of the self test is not. */
#include "tracers/selftest/targets.h"

#if __has_attribute(noipa)
#define TARGET __attribute__((noipa))
#else
#define TARGET __attribute__((noinline))
#endif
#define KEEP __asm__ volatile("" ::: "memory")

TARGET void target_one(void)
{
	KEEP;
}

TARGET void target_two(void)
{
	KEEP;
}

TARGET long target_sum(long a, long b, long c, long d, long e, long f, long g, long h)
{
	return a + b + c + d + e + f + g + h;
}

TARGET long target_product(long a, long b)
{
	return a * b;
}

TARGET double target_scale(double a, double b)
{
	return a * b + 1;
}

TARGET struct target_pair target_swap(double a, double b)
{
	return (struct target_pair){ b, a };
}

TARGET long target_inner(long n)
{
	KEEP;			/* or a call whose result is not used would be left out */
	return n + 1;
}

TARGET long target_outer(long n)
{
	long sum = 0;

	for (long i = 0; i < n; i++)
		sum += target_inner(i);
	return sum;
}

TARGET long target_recursive(long n)
{
	long below = n ? target_recursive(n - 1) + 1 : 0;

	KEEP;
	return below;
}

TARGET long target_tail_third(long n)
{
	return n + 1;
}

TARGET long target_tail_second(long n)
{
	return target_tail_third(n + 1);
}

TARGET long target_tail_first(long n)
{
	return target_tail_second(n + 1);
}

TARGET void target_jumps(jmp_buf *env)
{
	target_inner(1);
	longjmp(*env, 1);
}

TARGET void target_jumper(jmp_buf *env)
{
	target_jumps(env);
	KEEP;
}

TARGET long target_calls(long (*func)(long), long n)
{
	long r = func(n);

	KEEP;
	return r;
}

/* 512 functions by three octal digits. */
#define EACH(f, p)	f(p##0) f(p##1) f(p##2) f(p##3) f(p##4) f(p##5) f(p##6) f(p##7)
#define EACH2(f, p)	EACH(f, p##0) EACH(f, p##1) EACH(f, p##2) EACH(f, p##3) \
			EACH(f, p##4) EACH(f, p##5) EACH(f, p##6) EACH(f, p##7)
#define ALL(f)		EACH2(f, 00) EACH2(f, 01) EACH2(f, 02) EACH2(f, 03) \
			EACH2(f, 04) EACH2(f, 05) EACH2(f, 06) EACH2(f, 07)

#define DECLARE(n)	long crowd_##n(long x);
ALL(DECLARE)
#define DEFINE(n)	TARGET long crowd_##n(long x) { return x + n; }
ALL(DEFINE)
#define NAME(n)		crowd_##n,
long (*const target_crowd[TARGET_CROWD])(long) = { ALL(NAME) };
