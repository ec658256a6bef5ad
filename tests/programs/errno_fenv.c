/* SPDX-License-Identifier: MIT */
/* errno, rounding mode, floating-point exceptions, MXCSR and x87 control word survive traced calls. */
#include "t.h"
#include <fenv.h>

NOINLINE long work(long n) { KEEP(); return n + 1; }
NOINLINE double third(volatile double x) { KEEP(); return x / 3; }

int main(void)
{
	static const int modes[] = { FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
	unsigned int bad = 0;
	long n = 0;

	for (int i = 0; i < 200000; i++) {	/* enough for every slow path */
		errno = i;
		n = work(n);
		bad += errno != i;
	}
	for (int i = 0; i < 4; i++) {
		CHECK(fesetround(modes[i]) == 0);
		for (int k = 0; k < 50000; k++)
			n = work(n);
		CHECK(fegetround() == modes[i]);
		printf("%a %a\n", third(1), third(-1));
	}
	feclearexcept(FE_ALL_EXCEPT);
	work(1);
	CHECK(fetestexcept(FE_ALL_EXCEPT) == 0);
	feraiseexcept(FE_DIVBYZERO | FE_OVERFLOW);
	for (int k = 0; k < 50000; k++)
		n = work(n);
	CHECK(fetestexcept(FE_ALL_EXCEPT) & FE_DIVBYZERO);
	printf("bad %u n %ld\n", bad, n);
	return 0;
}
