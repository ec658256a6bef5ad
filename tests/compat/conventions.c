/* SPDX-License-Identifier: MIT */
/*
 * The calling conventions of i386: who takes arguments off the stack, which registers carry them. Calls
 * that longjmp leaves in their middle, so that what is kept of them lies about where others come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NOINLINE	__attribute__((noinline))
#define KEEP()		__asm__ volatile("" ::: "memory")

struct big { int x[6]; };
struct pair { double a, b; };

static jmp_buf env;
static volatile int jump;

NOINLINE __attribute__((stdcall)) int std3(int a, int b, int c) { KEEP(); return a + 2 * b + 3 * c; }
NOINLINE __attribute__((stdcall)) int std1(int a) { KEEP(); return a ^ 0x55; }
NOINLINE __attribute__((stdcall)) long long std_wide(long long a, double b) { KEEP(); return a + (long long)b; }
NOINLINE __attribute__((fastcall)) int fast4(int a, int b, int c, int d) { KEEP(); return a - b * c + d; }
NOINLINE __attribute__((regparm(3))) int reg4(int a, int b, int c, int d) { KEEP(); return a * b - c * d; }
NOINLINE __attribute__((regparm(1))) int reg1(int a, int b) { KEEP(); return a - b; }
NOINLINE __attribute__((thiscall)) int this2(void *self, int b) { KEEP(); return *(int *)self + b; }
NOINLINE struct big big(int a) { struct big r; for (int i = 0; i < 6; i++) r.x[i] = a + i; KEEP(); return r; }
NOINLINE struct pair pair(double a) { KEEP(); return (struct pair){ a, a * 2 }; }
NOINLINE __attribute__((sseregparm)) double sse(double a, double b) { KEEP(); return a * b; }
NOINLINE double x87(double a) { KEEP(); return a / 3; }
NOINLINE __attribute__((stdcall)) struct big std_big(int a, int b) { KEEP(); return big(a * b); }

/* Tail calls between functions that take off the same. */
NOINLINE __attribute__((stdcall)) int std_tail2(int a, int b, int c) { KEEP(); return std3(c, b, a); }
NOINLINE __attribute__((stdcall)) int std_tail(int a, int b, int c) { KEEP(); return std_tail2(b, a, c); }

NOINLINE int varargs(int n, ...)
{
	va_list list;
	int sum = 0;

	va_start(list, n);
	while (n--)
		sum = sum * 3 + va_arg(list, int);
	va_end(list);
	return sum;
}

/* Leaves through the frames of others now and then, from varying depths of the stack. */
NOINLINE __attribute__((stdcall)) int std_jump(int a, int b, int c, int d)
{
	int r = std3(a, b, c) + d;

	KEEP();
	if (jump)
		longjmp(env, 1);
	return r;
}

NOINLINE __attribute__((stdcall)) int std_deep(int n, int a, int b)
{
	volatile char room[4 + n % 7 * 4];
	int r;

	room[0] = 1;
	r = n ? std_deep(n - 1, b, a) + a : std_jump(a, b, n, room[0]);
	KEEP();
	return r;
}

NOINLINE int recursive(int n) { return n < 2 ? n : recursive(n - 1) + recursive(n - 2); }

NOINLINE int with_nested(int n)
{
	/* The static chain is in %ecx, or on the stack. */
	NOINLINE int add(int a) { KEEP(); return a + n; }
	int (*volatile pointer)(int) = add;

	return pointer(3) + add(4);
}

int main(void)
{
	volatile long long sum = 0;
	volatile double dsum = 0;

	for (volatile int i = 0; i < 300; i++) {
		int n = i;

		sum += std3(n, 2, 3) + std1(n) + std_wide(n, 2.5) + fast4(n, 2, 3, 4) + reg4(n, 2, 3, 4);
		sum += reg1(n, 7) + this2(&n, 4) + big(n).x[5] + std_big(n, 3).x[2] + std_tail(n, 5, 6);
		sum += varargs(5, n, 2, 3, 4, 5) + recursive(i % 10) + with_nested(n);
		dsum += pair(n).b + sse(n, 1.5) + x87(n) + x87(sse(pair(n).a, 2)) * x87(n + 1);
		jump = i % 3 == 0;
		if (!setjmp(env))
			sum += std_deep(i % 11, n, 2);
		else
			sum += 1;
		jump = 0;
		sum += std_jump(n, 2, 3, 4) + std_deep(i % 5, 3, n);
	}
	printf("%lld %a\n", sum, dsum);
	return 0;
}
