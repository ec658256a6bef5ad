/* SPDX-License-Identifier: MIT */
/* Signal handlers that write more events than a ring holds, in the middle of writing one. */
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

#define NOINLINE __attribute__((noinline, noclone))

NOINLINE long add(long a, long b) { __asm__ volatile(""); return a + b; }
NOINLINE long big(long a, long b) { __asm__ volatile(""); return a + b; }

static volatile int ticks;

/* Where one takes longer than the timer's period the next comes before the program has got any further: so it ends them. */
static void handler(int sig)
{
	struct itimerval none = { 0 };

	if (++ticks == 30)
		setitimer(ITIMER_REAL, &none, NULL);
	for (long i = 0; i < 6000; i++)
		big(i, ticks);
}

int main(void)
{
	struct itimerval timer = { { 0, 20000 }, { 0, 20000 } };

	signal(SIGALRM, handler);
	setitimer(ITIMER_REAL, &timer, NULL);
	while (ticks < 30)
		add(1, 2);
	printf("done\n");
	return 0;
}
