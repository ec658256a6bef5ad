/* SPDX-License-Identifier: MIT */
/*
 * Installs a seccomp filter that allows next to nothing after it was attached to (at SIGUSR1), and goes on
 * working. Ends with "ok".
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t go;

static void on_usr1(int sig)
{
	go = 1;
}

__attribute__((noinline)) int leaf(int x)
{
	__asm__ volatile("");
	return x + 1;
}

int main(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_nanosleep, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };
	struct sigaction sa = { .sa_handler = on_usr1 };
	struct timespec pause = { 0, 5000000 };
	int wrong = 0;

	sigaction(SIGUSR1, &sa, NULL);
	puts("ready");
	fflush(stdout);
	while (!go) {
		leaf(1);
		nanosleep(&pause, NULL);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		return 2;
	for (int i = 0; i < 500000; i++)
		wrong |= leaf(i) != i + 1;
	write(1, wrong ? "wrong\n" : "ok\n", wrong ? 6 : 3);
	_exit(wrong);
}
