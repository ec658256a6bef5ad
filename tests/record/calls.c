/* SPDX-License-Identifier: MIT */
/*
 * calls MODE N [PER]: a program whose number of traced calls is known.
 *
 *	loop N		work() calls leaf() N times: N + 2 calls with main()
 *	turn N PER	N threads one after the other, each PER leaf(): N * (PER + 2) + 1
 *	fork N PER	N children by fork, each PER leaf(): N * (PER + 1) + 1
 *	exec N PER	executes itself N times more, each time but the last PER leaf(): N * (PER + 2) + 1
 *	orphan N	a child calls work(5), then goes on in the background for N ms
 *	exit N		exits with status N
 *	kill N		sends signal N to itself
 *	wait N		prints "ready", waits for SIGTERM, SIGHUP or SIGINT for N ms, prints its number
 *	cat 0		copies stdin to stdout
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#define UNTRACED __attribute__((patchable_function_entry(0)))

NOINLINE long leaf(long x)
{
	__asm__ volatile("" : "+r"(x));
	return x + 1;
}

NOINLINE long work(long n)
{
	long sum = 0;

	for (long i = 0; i < n; i++)
		sum = leaf(sum);
	return sum;
}

static long per;

static NOINLINE void *thread(void *data)
{
	return (void *)work(per);
}

static volatile sig_atomic_t caught;

UNTRACED static void on_signal(int sig)
{
	caught = sig;
}

UNTRACED static void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

UNTRACED static void wait_for_signal(long ms)
{
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	signal(SIGINT, on_signal);
	puts("ready");
	fflush(stdout);
	for (; ms > 0 && !caught; ms -= 10)
		sleep_ms(10);
	printf("%d\n", (int)caught);
}

int main(int argc, char **argv)
{
	const char *mode = argv[1];
	long n = atol(argv[2]);
	pthread_t t;
	int status;
	pid_t pid;

	per = argc > 3 ? atol(argv[3]) : 0;
	if (!strcmp(mode, "loop")) {
		work(n);
	} else if (!strcmp(mode, "turn")) {
		while (n--) {
			if (pthread_create(&t, NULL, thread, NULL))
				return 9;
			pthread_join(t, NULL);
		}
	} else if (!strcmp(mode, "fork")) {
		while (n--) {
			pid = fork();
			if (!pid) {
				work(per);
				_exit(0);
			}
			waitpid(pid, &status, 0);
			if (status)
				return 9;
		}
	} else if (!strcmp(mode, "exec") && n > 0) {
		char number[32];

		work(per);
		snprintf(number, sizeof(number), "%ld", n - 1);
		execl("/proc/self/exe", argv[0], "exec", number, argv[3], NULL);
		return 9;
	} else if (!strcmp(mode, "orphan")) {
		char done;
		int ends[2];

		if (pipe(ends))
			return 9;
		if (!fork()) {
			close(0);
			close(1);
			close(2);
			work(5);
			if (write(ends[1], "", 1) != 1)
				return 9;
			sleep_ms(n);
			_exit(0);
		}
		if (read(ends[0], &done, 1) != 1)	/* its calls are recorded before we end */
			return 9;
	} else if (!strcmp(mode, "exit")) {
		return (int)n;
	} else if (!strcmp(mode, "kill")) {
		raise((int)n);
	} else if (!strcmp(mode, "wait")) {
		wait_for_signal(n);
	} else if (!strcmp(mode, "cat")) {
		for (int c; (c = getchar()) != EOF;)
			putchar(c);
	}
	return 0;
}
