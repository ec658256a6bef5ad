/* SPDX-License-Identifier: MIT */
/* Installs its allow-list before it ever called a traced function on a second thread's stack. */
#include "t.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

NOINLINE long work(long n) { KEEP(); return n + 1; }
static pthread_barrier_t filtered;

/* Not traced: this thread's first traced call comes under the filter. */
static UNTRACED void *thread(void *arg)
{
	long n = 0;

	(void)arg;
	pthread_barrier_wait(&filtered);
	for (int i = 0; i < 10000; i++)
		n = work(n);
	return (void *)n;
}

UNTRACED int main(void)
{
	/* What opens, maps or makes anything is refused with EPERM; the program itself needs none. */
	static const int refused[] = { SYS_open, SYS_openat, SYS_memfd_create, SYS_mmap, SYS_ftruncate,
				       SYS_mkdir, SYS_unlink, SYS_readlink, SYS_membarrier };
	struct sock_filter filter[2 + 2 * sizeof(refused) / sizeof(refused[0])];
	struct sock_fprog program = { 0, filter };
	pthread_t id;
	void *value;

	filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							     offsetof(struct seccomp_data, nr));
	for (unsigned int i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		filter[program.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
								     refused[i], 0, 1);
		filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						SECCOMP_RET_ERRNO | EPERM);
	}
	filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

	pthread_barrier_init(&filtered, NULL, 2);
	CHECK(pthread_create(&id, NULL, thread, NULL) == 0);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
		      &program) == 0);
	pthread_barrier_wait(&filtered);
	CHECK(pthread_join(id, &value) == 0);
	printf("thread %ld main %ld\n", (long)value, work(1));
	return 0;
}
