/* SPDX-License-Identifier: MIT */
/*
 * A signal that a thread waits for in epoll_pwait(), sigsuspend(), ppoll() (it is let in by the call only) ends the
 * call with EINTR each time, while the threads are stopped again and again; and a signal that is ignored ends none.
 * memcpy() of a libc without symbols is traced by its name. TAP. Arguments: "signals" or "memcpy", plans.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <ftrace/ftrace.h>

#include "moved-test.h"

static volatile long hits;

static void hit(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op, struct pt_regs *regs)
{
	hits++;
}

static struct ftrace_ops ops = { .func = hit, .flags = FTRACE_OPS_FL_GENERAL_REGS };

__attribute__((noinline, noclone)) int t_work(int x)
{
	__asm__ volatile("");
	return x * 3 + 1;
}

static volatile int handled, ended, wrong, stop;

static void on_signal(int sig)
{
	(void)sig;
	handled++;
}

static void *wait_for_signals(void *arg)
{
	int ep = epoll_create1(0), n;
	struct epoll_event event;
	sigset_t none;

	sigemptyset(&none);
	for (int i = 0; !stop; i++) {
		int before = handled;

		errno = 0;
		n = i % 3 == 0 ? epoll_pwait(ep, &event, 1, 20000, &none) :
		    i % 3 == 1 ? sigsuspend(&none) : ppoll(NULL, 0, NULL, &none);
		wrong += n != -1 || errno != EINTR || handled != before + 1;
		ended++;
	}
	return arg;
}

static void with_signals(void)
{
	int lost = 0, failed = 0;
	pthread_t thread;
	sigset_t usr1;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	signal(SIGUSR1, on_signal);
	signal(SIGWINCH, SIG_IGN);
	pthread_create(&thread, NULL, wait_for_signals, NULL);
	ftrace_set_filter(&ops, "t_work", 6, 1);
	for (int i = 0; i < 300 && !lost; i++) {
		int before = ended, waited = 0;

		failed += register_ftrace_function(&ops) != 0;
		if (i % 2)
			pthread_kill(thread, SIGUSR1);
		pthread_kill(thread, SIGWINCH);
		failed += unregister_ftrace_function(&ops) != 0;
		if (!(i % 2))
			pthread_kill(thread, SIGUSR1);
		for (; ended == before && waited < 300000; waited++)
			usleep(200);
		lost += ended == before;
	}
	ok(!failed, "%d toggles failed", failed);
	ok(!lost, "each signal ended a call: %d sent, %d handled, %d calls ended", 300, handled, ended);
	ok(!wrong, "%d calls ended otherwise", wrong);
	stop = 1;
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
}

static void with_memcpy(void)
{
	static char from[300], to[300];
	volatile size_t n = sizeof(from);
	/* Not the library's own, which stands for it in files with base.h. */
	void *(*volatile copy)(void *, const void *, size_t) = dlsym(RTLD_DEFAULT, "memcpy");
	long before;
	int err;

	memset(from, 7, sizeof(from));
	err = ftrace_set_filter(&ops, "memcpy memmove", 14, 1);
	ok(!err, "memcpy or memmove is known: %d", err);
	err = register_ftrace_function(&ops);
	ok(!err, "registered: %d", err);
	before = hits;
	for (int i = 0; i < 100; i++)
		copy(to, from, n);
	ok(hits - before == 100, "%ld of 100 calls", hits - before);
	unregister_ftrace_function(&ops);
	ok(to[299] == 7 && to[0] == 7, "copied");
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "signals"))
		with_signals();
	else
		with_memcpy();
	return tap_done();
}
