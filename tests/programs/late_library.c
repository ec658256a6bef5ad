// SPDX-License-Identifier: MIT
// Loads libftrace.so when threads are running: late_library LIBRARY. They call traced functions, one
// of them with every signal blocked; a callback counts; then the counts of calls must agree exactly.
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ftrace/ftrace.h>

#define THREADS 4
#define UNTRACED __attribute__((patchable_function_entry(0)))
#define NOINLINE __attribute__((noinline))

static volatile int stop, hold, held;
static unsigned long calls[THREADS], wrong, counted;

NOINLINE long one(long n) { __asm__ volatile("" : "+r"(n)); return n + 1; }
NOINLINE long two(long n) { __asm__ volatile("" : "+r"(n)); return n + 2; }

UNTRACED static void *thread(void *arg)
{
	long k = (long)arg;

	if (!k) {
		sigset_t all;

		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, NULL);
	}
	while (!stop) {
		wrong += one(two(calls[k])) != (long)calls[k] + 3;
		calls[k]++;
		if (hold) {
			__atomic_fetch_add(&held, 1, __ATOMIC_SEQ_CST);
			while (hold)
				usleep(100);
			__atomic_fetch_sub(&held, 1, __ATOMIC_SEQ_CST);
		}
	}
	return NULL;
}

UNTRACED static void count(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			   struct pt_regs *regs)
{
	(void)ip, (void)parent, (void)ops, (void)regs;
	__atomic_fetch_add(&counted, 1, __ATOMIC_RELAXED);
}

UNTRACED static unsigned long sum(void)
{
	unsigned long all = 0;

	for (int i = 0; i < THREADS; i++)
		all += calls[i];
	return all;
}

UNTRACED static void wait_held(int wanted)
{
	hold = wanted;
	while (held != (wanted ? THREADS : 0))
		usleep(100);
}

UNTRACED int main(int argc, char **argv)
{
	static struct ftrace_ops ops = { .func = count };
	int (*reg)(struct ftrace_ops *), (*unreg)(struct ftrace_ops *), err;
	pthread_t threads[THREADS];
	unsigned long before;
	void *library;

	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, thread, (void *)i);
	usleep(20000);
	library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return 99;
	}
	*(void **)&reg = dlsym(library, "register_ftrace_function");
	*(void **)&unreg = dlsym(library, "unregister_ftrace_function");
	for (int round = 0; round < 20; round++) {
		unsigned long exact;

		wait_held(1);
		before = sum();
		counted = 0;
		err = reg(&ops);
		if (err) {
			fprintf(stderr, "register: %s\n", strerror(-err));
			return 98;
		}
		wait_held(0);
		usleep(2000);
		wait_held(1);
		exact = 2 * (sum() - before);
		if (!counted || counted != exact) {
			printf("round %d: counted %lu of %lu\n", round, counted, exact);
			return 1;
		}
		if (unreg(&ops))
			return 97;
		wait_held(0);
		/* And switched while they run. */
		if (reg(&ops) || unreg(&ops))
			return 96;
	}
	stop = 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("ok, wrong %lu\n", wrong);
	return wrong != 0;
}
