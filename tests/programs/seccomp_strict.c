/* SPDX-License-Identifier: MIT */
/*
 * Only read, write, exit and sigreturn from here on: by a filter, or ("real") by SECCOMP_MODE_STRICT
 * itself, under which reading the time stamp counter faults too. Traced calls go on.
 */
#include "t.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

NOINLINE long work(long n) { KEEP(); return n + 1; }
NOINLINE long deep(long n) { long r = n ? deep(n - 1) : work(0); KEEP(); return r + 1; }

#define ALLOW(nr)								\
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),				\
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void confine(int real)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_exit), ALLOW(SYS_rt_sigreturn),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (real) {
		CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
		return;
	}
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

int main(int argc, char **argv)
{
	long n = 0, calls = argc > 1 ? atol(argv[1]) : 1000;
	char line[64];
	int length;

	for (int i = 0; i < 1000; i++)
		n = work(n);
	confine(argc > 2);
	for (long i = 0; i < calls; i++)
		n = work(n);
	n += deep(500);
	length = snprintf(line, sizeof(line), "after %ld\n", n);
	if (write(1, line, length) != length)
		syscall(SYS_exit, 5);
	syscall(SYS_exit, 6);
	return 0;
}
