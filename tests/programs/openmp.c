/* SPDX-License-Identifier: MIT */
/* OpenMP's outlined functions in its own threads. */
#include "t.h"

NOINLINE long work(long n) { KEEP(); return n * n; }
int main(void)
{
	long sum = 0;

	for (int round = 0; round < 20; round++)
#pragma omp parallel for reduction(+ : sum) num_threads(4)
		for (long i = 0; i < 10000; i++)
			sum += work(i);
	printf("%ld\n", sum);
	return 0;
}
