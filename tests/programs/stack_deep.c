// SPDX-License-Identifier: MIT
// Stacks of known depth: stack_deep HOW. Each frame of grow() holds STEP bytes and the rest.
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP 1000
#define NOINLINE __attribute__((noinline))

static jmp_buf env;

NOINLINE int leaf(char *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
	return *p;
}

NOINLINE int grow(int n, int jump)
{
	char bytes[STEP];

	memset(bytes, n, sizeof(bytes));
	if (n)
		return grow(n - 1, jump) + leaf(bytes);
	if (jump)
		longjmp(env, 1);
	return leaf(bytes);
}

NOINLINE int shallow(int n)
{
	return n ? shallow(n - 1) + leaf((char *)&n) : 0;
}

// At each level a call that is over before the next level.
NOINLINE int deep(int n)
{
	int left = leaf((char *)&n);

	return n ? deep(n - 1) + left : 0;
}

static void *deep_thread(void *arg)
{
	deep(*(int *)arg);
	return arg;
}

static void on_large_stack(int levels)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, (size_t)levels * 64 + (1 << 20));
	if (pthread_create(&t, &attr, deep_thread, &levels))
		exit(99);
	pthread_join(t, NULL);
}

static void *thread(void *arg)
{
	grow(20, 0);
	return arg;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "main";
	pthread_t t;

	grow(3, 0);
	if (!strcmp(how, "main")) {
		grow(10, 0);
	} else if (!strcmp(how, "thread")) {
		pthread_create(&t, NULL, thread, NULL);
		pthread_join(t, NULL);
		shallow(5);
	} else if (!strcmp(how, "longjmp")) {
		if (!setjmp(env))
			grow(5, 1);
		grow(4, 0);
		shallow(8);
		grow(10, 0);
	} else if (!strcmp(how, "fork")) {
		if (fork() == 0) {
			grow(30, 0);
			_exit(0);
		}
		wait(NULL);
		grow(6, 0);
	} else if (!strcmp(how, "exec")) {
		grow(6, 0);
		execl(argv[0], argv[0], "main", (char *)NULL);
	} else if (!strcmp(how, "kill")) {
		grow(10, 0);
		raise(SIGKILL);
	} else if (!strcmp(how, "deep")) {
		on_large_stack(atoi(argv[2]));
	} else if (!strcmp(how, "wait")) {
		grow(10, 0);
		puts("ready");
		fflush(stdout);
		for (;;)
			pause();
	}
	puts("done");
	return 0;
}
