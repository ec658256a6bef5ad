/* SPDX-License-Identifier: MIT */
/* Known calls: what a recording must hold. Prints what it computed. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define FUNC __attribute__((noinline, noclone))
#define PLAIN __attribute__((noinline, patchable_function_entry(0)))

FUNC long leaf(long n)
{
	__asm__ volatile("");
	return n + 1;
}

FUNC long sum(long n)
{
	long total = 0;

	for (long i = 0; i < n; i++)
		total += leaf(i);
	return total;
}

FUNC double mean(double a, double b)
{
	return (a + b) / 2;
}

FUNC long tail_second(long n)
{
	return leaf(n);
}

FUNC long tail_first(long n)
{
	return tail_second(n + 1);
}

static jmp_buf env;

FUNC void jumps(void)
{
	leaf(1);
	longjmp(env, 1);
}

FUNC void *thread(void *arg)
{
	return (void *)sum(100);
}

PLAIN int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 0;
	volatile int left = 0;
	pthread_t t;
	void *of_thread;
	int status;

	for (long i = 0; i < rounds; i++)
		leaf(i);
	if (rounds)
		return 0;
	printf("sum %ld\n", sum(10));
	printf("mean %g\n", mean(1, 2));
	printf("tail %ld\n", tail_first(1));
	for (int i = 0; i < 5; i++)
		if (!setjmp(env))
			jumps();
		else
			left++;
	printf("left %d\n", left);
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, &of_thread);
	printf("thread %ld\n", (long)of_thread);
	fflush(stdout);
	if (!fork())
		_exit((int)leaf(6));
	wait(&status);
	printf("child %d\n", WEXITSTATUS(status));
	return 3;
}
