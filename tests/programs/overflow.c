/* SPDX-License-Identifier: MIT */
/* One byte behind a heap block, in the depths: for AddressSanitizer to find. */
#include "t.h"

NOINLINE int overflow(volatile char *p, int n) { return p[n]; }
NOINLINE int deep(volatile char *p, int n, int depth)
{
	int r = depth ? deep(p, n, depth - 1) : overflow(p, n);

	KEEP();
	return r;
}
int main(void) { return deep(malloc(10), 10, 5); }
