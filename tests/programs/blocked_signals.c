/* SPDX-License-Identifier: MIT */
/* Threads that block every signal, SIGTRAP too; sigwait; signals between threads. */
#include "t.h"
#include <pthread.h>
#include <signal.h>

static volatile int stop, handled;
NOINLINE long work(long n) { KEEP(); return n + 1; }
NOINLINE void handler(int number) { (void)number; handled++; work(1); }
static void *blocked(void *arg)
{
	sigset_t all;
	long n = 0;

	(void)arg;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (int i = 0; i < 300000; i++)
		n = work(n);
	return (void *)n;
}
static void *waiter(void *arg)
{
	sigset_t set;
	int number;
	long got = 0;

	(void)arg;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	while (!stop && sigwait(&set, &number) == 0)
		got += work(0);
	return (void *)got;
}

int main(void)
{
	pthread_t one, two;
	void *value;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGUSR1, handler);
	pthread_create(&two, NULL, waiter, NULL);
	pthread_create(&one, NULL, blocked, NULL);
	for (int i = 0; i < 1000; i++) {
		raise(SIGUSR1);
		pthread_kill(two, SIGUSR2);
	}
	pthread_join(one, &value);
	printf("%ld handled %d\n", (long)value, handled);
	stop = 1;
	pthread_kill(two, SIGUSR2);
	pthread_join(two, &value);
	return 0;
}
