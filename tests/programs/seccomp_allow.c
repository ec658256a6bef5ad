/* SPDX-License-Identifier: MIT */
/* A seccomp allow-list that kills for any system call but a few; calls, threads-free, before and after. */
#include "t.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

NOINLINE long work(long n) { KEEP(); return n + 1; }

#define ALLOW(nr)								\
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),				\
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

int main(int argc, char **argv)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_write), ALLOW(SYS_read), ALLOW(SYS_exit_group), ALLOW(SYS_exit),
		ALLOW(SYS_rt_sigreturn),
#ifdef SYS_newfstatat
		ALLOW(SYS_newfstatat),
#else
		ALLOW(SYS_fstatat64), ALLOW(SYS_statx),
#endif
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
	long n = 0, calls = argc > 1 ? atol(argv[1]) : 1000;

	printf("before\n");
	fflush(stdout);
	for (int i = 0; i < 1000; i++)
		n = work(n);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
	for (long i = 0; i < calls; i++)
		n = work(n);
	printf("after %ld\n", n);
	return 0;
}
