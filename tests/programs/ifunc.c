/* SPDX-License-Identifier: MIT */
/* An IFUNC whose resolver is traced too: it runs while the program is being relocated. */
#include "t.h"

static NOINLINE long fast(long n) { KEEP(); return n * 2; }
static NOINLINE long slow(long n) { KEEP(); return n + n; }
static NOINLINE int choose(int n) { KEEP(); return n & 1; }
typedef long (*function)(long);
static NOINLINE function resolve_twice(void) { return choose(3) ? fast : slow; }
static NOINLINE function resolve_again(void) { return choose(2) ? fast : slow; }
long twice(long n) __attribute__((ifunc("resolve_twice")));
long again(long n) __attribute__((ifunc("resolve_again")));
static function volatile pointer;

int main(void)
{
	long sum = 0;

	pointer = again;
	for (long i = 0; i < 1000; i++)
		sum += twice(i) + pointer(i);
	printf("%ld\n", sum);
	return 0;
}
