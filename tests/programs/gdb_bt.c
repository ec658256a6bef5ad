/* SPDX-License-Identifier: MIT */
/* For a debugger: bottom() is called through a chain of traced functions. */
#include "t.h"

NOINLINE int bottom(int n) { KEEP(); return n + 1; }
NOINLINE int chain_c(int n) { int r = bottom(n); KEEP(); return r * 2; }
NOINLINE int chain_b(int n) { int r = chain_c(n + 1); KEEP(); return r + 3; }
NOINLINE int chain_a(int n) { int r = n > 2 ? chain_a(n - 1) : chain_b(n); KEEP(); return r + 4; }

int main(void)
{
	int r = chain_a(4);

	printf("%d\n", r);
	return 0;
}
