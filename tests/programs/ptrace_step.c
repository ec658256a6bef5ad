/* SPDX-License-Identifier: MIT */
/*
 * Forks a child and steps it with ptrace through traced calls; at every second
 * instruction outside of the handler it gets SIGUSR1, whose handler is traced and stepped too; no
 * more than a few times at the same address, for there are loops of thousands.
 */
#include "t.h"
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

static volatile int done;
NOINLINE long handler_work(long n) { KEEP(); return n + 1; }
NOINLINE void handler(int number) { handler_work(number); }
NOINLINE long leaf(long n) { KEEP(); return n * 3; }
NOINLINE long tail(long n) { return leaf(n + 1); }
NOINLINE long top(long n) { long r = leaf(n) + tail(n); KEEP(); return r; }

static UNTRACED void child(void)
{
	long sum = 0;

	signal(SIGUSR1, handler);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	for (int i = 0; i < 3; i++)
		sum += top(i);
	_exit(sum == 27 ? 5 : 6);
}

UNTRACED int main(void)
{
	int status, step = 0, outside = 0, deliver = 0;
	static unsigned char seen[1 << 16];
	struct user_regs_struct regs;
	unsigned char *count;
	sigset_t blocked;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		child();
	CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	for (;;) {
		CHECK(ptrace(PTRACE_SINGLESTEP, pid, 0, deliver) == 0);
		deliver = 0;
		CHECK(waitpid(pid, &status, 0) == pid);
		if (!WIFSTOPPED(status))
			break;
		if (WSTOPSIG(status) != SIGTRAP) {
			deliver = WSTOPSIG(status);
			continue;
		}
		step++;
		/* SIGUSR1 blocked: in the handler. Another one now would come right after it, for ever. */
		CHECK(ptrace(PTRACE_GETSIGMASK, pid, 8, &blocked) == 0);
		if (sigismember(&blocked, SIGUSR1) || ++outside % 2)
			continue;
		CHECK(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0);
#ifdef __x86_64__
		count = &seen[(regs.rip ^ regs.rip >> 16) & 0xffff];
#else
		count = &seen[(regs.eip ^ regs.eip >> 16) & 0xffff];
#endif
		if (*count < 2) {
			++*count;
			deliver = SIGUSR1;
		}
	}
	printf("exited %d stepped %s\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1,
	       step > 100 ? "yes" : "no");
	return 0;
}
