/* SPDX-License-Identifier: MIT */
/*
 * One thread to be attached to, in one kind of work (argv[1]): "loop" (computes without a system call),
 * "sleep" (nanosleep), "poll", "epoll", "futex" (for ever), "long" (a sleep of a second, measured), "read" (of standard input, until its end), "seccomp" (under
 * a filter that allows all but exec), "strict" (one that allows next to nothing), "trap" (with SIGTRAP
 * ignored). Checks what it computes. Ends at SIGTERM, or at the end of its input, with "ok".
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t ends;
volatile unsigned int rounds;		/* calls of branch() that are over */

__attribute__((noinline)) unsigned long leaf(unsigned long x)
{
	__asm__ volatile("");
	return x * 3 + 1;
}

__attribute__((noinline)) unsigned long branch(unsigned long x)
{
	unsigned long s = 0;

	for (unsigned long i = 0; i < 3; i++)
		s += leaf(x + i);
	return s;
}

static int profiled(void)
{
	struct itimerval timer;

	return !getitimer(ITIMER_PROF, &timer) && timer.it_interval.tv_usec;
}

static void on_term(int sig)
{
	ends = 1;
}

static int check(unsigned long x)
{
	return branch(x) == 9 * x + 12 ? 0 : 1;
}

/* Waits until SIGTERM comes, in one kind of call; what is wrong with how that ends. */
static int wait_for_ever(const char *kind)
{
	static int word, epoll = -1;
	struct epoll_event event;
	long got;

	if (epoll < 0)
		epoll = epoll_create1(0);
	if (!strcmp(kind, "poll"))
		got = poll(NULL, 0, -1);
	else if (!strcmp(kind, "epoll"))
		got = epoll_wait(epoll, &event, 1, -1);
	else
		got = syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
	return got != -1 || errno != EINTR || !ends ? 2 : 0;
}

/* A second's sleep takes a second, however often it is looked at. */
static int sleep_long(void)
{
	struct timespec pause = { 1, 0 }, from, to;
	double took;

	clock_gettime(CLOCK_MONOTONIC, &from);
	if (nanosleep(&pause, NULL))
		return ends ? 0 : 8;
	clock_gettime(CLOCK_MONOTONIC, &to);
	took = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	return took < 0.999 ? 32 : 0;
}

static void filter(int strict)
{
	struct sock_filter allow_most[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	static const unsigned short few[] = {
		SYS_write, SYS_clock_nanosleep, SYS_restart_syscall, SYS_rt_sigreturn, SYS_exit_group,
#ifdef SYS_clock_nanosleep_time64
		SYS_clock_nanosleep_time64, SYS_sigreturn,
#endif
	};
	enum { FEW = sizeof(few) / sizeof(few[0]) };
	struct sock_filter allow_few[FEW + 3] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		[FEW + 1] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		[FEW + 2] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { 4, allow_most };

	for (unsigned int i = 0; i < FEW; i++)
		allow_few[i + 1] = (struct sock_filter)
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, few[i], FEW - i, 0);
	if (strict)
		prog = (struct sock_fprog){ FEW + 3, allow_few };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		perror("seccomp");
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "loop";
	struct timespec pause = { 0, 5000000 };
	struct sigaction sa = { .sa_handler = on_term };
	int wrong = 0;
	unsigned long i;
	char c;

	sigaction(SIGTERM, &sa, NULL);
	if (!strcmp(kind, "trap"))
		signal(SIGTRAP, SIG_IGN);
	puts("ready");
	fflush(stdout);
	if (!strcmp(kind, "seccomp") || !strcmp(kind, "strict"))
		filter(!strcmp(kind, "strict"));
	for (i = 0; !ends; i++) {
		wrong |= check(i);
		rounds++;
		if (!strcmp(kind, "loop"))
			continue;
		if (!strcmp(kind, "poll") || !strcmp(kind, "epoll") || !strcmp(kind, "futex")) {
			wrong |= wait_for_ever(kind);
		} else if (!strcmp(kind, "long")) {
			wrong |= sleep_long();
		} else if (!strcmp(kind, "read")) {
			ssize_t n = read(0, &c, 1);

			if (n < 0 && !ends)
				wrong |= 4;
			if (n <= 0)
				break;
		} else if (nanosleep(&pause, NULL) && !ends) {
			/* The timer of -pg counts what the agent's thread computes, too. */
			wrong |= errno == EINTR && profiled() ? 0 : 8;
		}
	}
	if (!strcmp(kind, "trap")) {
		sigaction(SIGTRAP, NULL, &sa);
		if (sa.sa_handler != SIG_IGN)
			wrong |= 16;
	}
	c = (char)('0' + wrong % 10);
	if (wrong) {
		write(1, "wrong ", 6);
		write(1, &c, 1);
	} else {
		write(1, "ok\n", 3);
	}
	_exit(wrong);
}
