/* SPDX-License-Identifier: MIT */
/* Children that libc does not know about: raw SYS_fork, raw clone without and with CLONE_VM. */
#include "t.h"
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static volatile long shared;
NOINLINE long work(long n) { long r = n ? n + work(n - 1) : 0; KEEP(); return r; }

NOINLINE int child_status(long pid)
{
	int status;

	CHECK(waitpid(pid, &status, __WALL) == pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int clone_child(void *arg)
{
	for (int i = 0; i < 1000; i++)
		shared += work((long)arg);
	return 7;
}

int main(void)
{
	int sum = 0;

	for (int i = 0; i < 20; i++) {
		long pid = syscall(SYS_fork);

		CHECK(pid >= 0);
		if (pid == 0) {
			long r = 0;

			for (int k = 0; k < 5000; k++)
				r += work(3);
			_exit(r == 30000 ? 3 : 4);
		}
		work(5);
		sum += child_status(pid);
	}
	printf("SYS_fork %d\n", sum);

	sum = 0;
	for (int i = 0; i < 20; i++) {
#ifdef __s390__
		long pid = syscall(SYS_clone, 0, SIGCHLD, 0, 0, 0);	/* the stack comes first there */
#else
		long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#endif

		CHECK(pid >= 0);
		if (pid == 0)
			_exit(work(4) == 10 ? 5 : 6);
		sum += child_status(pid);
	}
	printf("SYS_clone %d\n", sum);

	sum = 0;
	for (int i = 0; i < 20; i++) {
		char *stack = malloc(65536);
		int pid = clone(clone_child, stack + 65536, CLONE_VM | SIGCHLD, (void *)2L);

		CHECK(pid > 0);
		for (int k = 0; k < 1000; k++)
			work(3);	/* both write at the same time in the same memory */
		sum += child_status(pid);
		free(stack);
	}
	printf("CLONE_VM %d shared %ld\n", sum, shared);

	sum = 0;
	for (int i = 0; i < 20; i++) {
		char *stack = malloc(65536);
		int pid = clone(clone_child, stack + 65536, CLONE_VM | CLONE_VFORK | SIGCHLD,
				(void *)2L);

		CHECK(pid > 0);
		sum += child_status(pid);
		free(stack);
	}
	printf("CLONE_VM CLONE_VFORK %d shared %ld\n", sum, shared);
	return 0;
}
