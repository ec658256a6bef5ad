/* SPDX-License-Identifier: MIT */
/* Waits in the depths for SIGUSR1, then ends with 7. */
#include "t.h"
#include <signal.h>

static void handler(int number) { (void)number; }
NOINLINE int wait_here(void)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	sigsuspend(&old);
	return 3;
}
NOINLINE int wait_b(void) { int r = wait_here(); KEEP(); return r + 2; }
NOINLINE int wait_a(void) { int r = wait_b(); KEEP(); return r + 2; }

int main(void)
{
	signal(SIGUSR1, handler);
	return wait_a();
}
