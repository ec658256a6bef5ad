/* SPDX-License-Identifier: MIT */
/* SECCOMP_MODE_STRICT: only read, write, exit. Traced calls go on. */
#include "t.h"
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

NOINLINE long work(long n) { KEEP(); return n + 1; }
NOINLINE long deep(long n) { long r = n ? deep(n - 1) : work(0); KEEP(); return r + 1; }

int main(int argc, char **argv)
{
	long n = 0, calls = argc > 1 ? atol(argv[1]) : 1000;
	char line[64];
	int length;

	for (int i = 0; i < 1000; i++)
		n = work(n);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
	for (long i = 0; i < calls; i++)
		n = work(n);
	n += deep(500);
	length = snprintf(line, sizeof(line), "after %ld\n", n);
	if (write(1, line, length) != length)
		syscall(SYS_exit, 5);
	syscall(SYS_exit, 6);
	return 0;
}
