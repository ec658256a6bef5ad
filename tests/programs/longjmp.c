/* SPDX-License-Identifier: MIT */
/* longjmp over many frames, thousands of times, and jumps out of nested setjmps. */
#include "t.h"
#include <setjmp.h>

static jmp_buf outer, inner;
static long frames;

NOINLINE int dive(int n, jmp_buf *where)
{
	int r;

	frames++;
	if (n == 0)
		longjmp(*where, 7);
	r = dive(n - 1, where);
	KEEP();
	return r + 1;
}

NOINLINE int nested(int n)
{
	volatile int count = 0;

	if (setjmp(inner) == 0)
		dive(n, &inner);
	if (++count < 3)
		dive(n, &inner);
	return dive(n, n % 2 ? &outer : &inner);
}

int main(void)
{
	volatile long jumps = 0;
	volatile int i;

	for (i = 0; i < 5000; i++) {
		int r = setjmp(outer);

		if (r == 0)
			dive(i % 100, &outer);
		CHECK(r == 7);
		jumps++;
	}
	for (i = 0; i < 1000; i++)
		if (setjmp(outer) == 0) {
			i |= 1;
			nested(i % 30 | 1);
		} else {
			jumps++;
		}
	printf("jumps %ld frames %ld\n", jumps, frames);
	return 0;
}
