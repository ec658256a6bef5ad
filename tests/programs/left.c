/* SPDX-License-Identifier: MIT */
/* Calls that longjmp leaves in a loop, each time at the same place, and tail calls of itself. */
#include "t.h"
#include <setjmp.h>

static jmp_buf home;

NOINLINE int dive(int depth)
{
	int r;

	if (!depth)
		longjmp(home, 1);
	r = dive(depth - 1);
	KEEP();
	return r + 1;
}

NOINLINE int leaf(int x)
{
	KEEP();
	return x;
}

int odd(int n);

NOINLINE int even(int n)
{
	KEEP();
	return n ? odd(n - 1) : 1;
}

NOINLINE int odd(int n)
{
	KEEP();
	return n ? even(n - 1) : 0;
}

int main(void)
{
	volatile int i;

	for (i = 0; i < 100; i++) {
		if (!setjmp(home))
			dive(5);
		leaf(i);
	}
	printf("%d\n", leaf(even(1000)));
	return 0;
}
