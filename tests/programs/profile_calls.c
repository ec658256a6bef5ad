// SPDX-License-Identifier: MIT
// Calls in known numbers: profile_calls HOW.
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define UNTRACED __attribute__((patchable_function_entry(0)))

static jmp_buf env;

NOINLINE int inner(int n)
{
	__asm__ volatile("" : "+r"(n));
	return n;
}

NOINLINE int outer(int n)
{
	int sum = 0;

	for (int i = 0; i < n; i++)
		sum += inner(i);
	return sum;
}

NOINLINE int recursive(int n)
{
	int below = n ? recursive(n - 1) : 0;

	__asm__ volatile("" : "+r"(below));
	return below + 1;
}

NOINLINE void slow(void)
{
	nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
}

NOINLINE void jumps(void)
{
	longjmp(env, 1);
}

static volatile int armed, jumped;
static sigjmp_buf signal_env;

UNTRACED static void jump_away(int sig)
{
	if (armed) {
		armed = 0;
		jumped++;
		siglongjmp(signal_env, 1);
	}
}

/* Jumps out of inner() and whatever stands around it, every 200 us for a second; 200 times however long it takes. */
UNTRACED static void storm(void)
{
	struct itimerval timer = { { 0, 200 }, { 0, 200 } };
	time_t end = time(NULL) + 2;

	signal(SIGALRM, jump_away);
	setitimer(ITIMER_REAL, &timer, NULL);
	while (jumped < 3000 && (jumped < 200 || time(NULL) < end))
		if (!sigsetjmp(signal_env, 1)) {
			armed = 1;
			for (;;)
				inner(1);
		}
	memset(&timer, 0, sizeof(timer));
	setitimer(ITIMER_REAL, &timer, NULL);
	armed = 0;
	outer(100);
	recursive(50);
	printf("%d jumps\n", jumped);
}

UNTRACED static void *thread(void *arg)
{
	for (long i = 0; i < (long)arg; i++)
		inner(1);
	return NULL;
}

UNTRACED static void run_threads(void)
{
	pthread_t t[4];

	for (int i = 0; i < 20; i++) {
		pthread_create(&t[0], NULL, thread, (void *)100);
		pthread_join(t[0], NULL);
	}
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, thread, (void *)100000);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "main";

	if (!strcmp(how, "storm")) {
		storm();
	} else if (!strcmp(how, "threads")) {
		run_threads();
	} else if (!strcmp(how, "longjmp")) {
		for (volatile int i = 0; i < 100; i++)
			if (!setjmp(env))
				jumps();
		outer(100);
	} else if (!strcmp(how, "fork")) {
		outer(100);
		if (fork() == 0) {
			outer(100);
			_exit(0);
		}
		wait(NULL);
		outer(100);
	} else {
		for (int i = 0; i < 10; i++)
			outer(100);
		if (!strcmp(how, "kill"))
			raise(SIGKILL);
		if (!strcmp(how, "exit"))
			_exit(3);
		if (!strcmp(how, "wait")) {
			puts("ready");
			fflush(stdout);
			for (;;)
				pause();
		}
		recursive(50);
		slow();
		slow();
	}
	return 0;
}
