/* SPDX-License-Identifier: MIT */
/* Uses a needed library whose constructor started threads that already call functions of main's. */
#include "t.h"

long ctor_join(void);
long exported_to_library(long n);
NOINLINE long work(long n) { KEEP(); return n + 1; }
__attribute__((visibility("default"))) NOINLINE long exported_to_library(long n)
{
	return work(n) + 1;
}

int main(void)
{
	long n = 0;

	for (int i = 0; i < 100000; i++)
		n = work(n);
	printf("main %ld threads %ld\n", n, ctor_join());
	return 0;
}
