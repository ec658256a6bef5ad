/* SPDX-License-Identifier: MIT */
/* Calls something, then executes what its arguments say; "spawn" first: in a child, and waits for it. */
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

__attribute__((noinline)) int work(int n) { __asm__ volatile("" ::: "memory"); return n + 1; }

int main(int argc, char **argv)
{
	int n = 0, status = 0;
	pid_t child;

	for (int i = 0; i < 100; i++)
		n = work(n);
	printf("%d bits: %d\n", (int)sizeof(long) * 8, n);
	fflush(stdout);
	if (argc > 2 && !strcmp(argv[1], "spawn")) {
		if (posix_spawn(&child, argv[2], NULL, NULL, argv + 2, environ))
			return 1;
		waitpid(child, &status, 0);
		return WEXITSTATUS(status) + 1;
	}
	if (argc > 1)
		execv(argv[1], argv + 1);
	return 7;
}
