/* SPDX-License-Identifier: MIT */
/* Opens the file that it is given when it is in the depths, waits there for SIGUSR1, then ends with 7. */
#include "t.h"
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static const char *file;

static void handler(int number) { (void)number; }
NOINLINE int wait_here(void)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	close(open(file, O_WRONLY));		/* a named pipe: until somebody reads it */
	sigsuspend(&old);
	return 3;
}
NOINLINE int wait_b(void) { int r = wait_here(); KEEP(); return r + 2; }
NOINLINE int wait_a(void) { int r = wait_b(); KEEP(); return r + 2; }

int main(int argc, char **argv)
{
	file = argv[argc - 1];
	signal(SIGUSR1, handler);
	return wait_a();
}
