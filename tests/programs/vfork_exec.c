/* SPDX-License-Identifier: MIT */
/* vfork with traced calls in the child before exec or _exit, posix_spawn, failing exec, exec of itself. */
#include "t.h"
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

NOINLINE int work(int n) { KEEP(); return n * 2; }
NOINLINE int wait_for(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

NOINLINE int by_vfork(const char *self, char *const argv[])
{
	pid_t pid = vfork();

	if (pid == 0) {
		if (argv == NULL)
			_exit(work(21));
		execv(self, argv);
		_exit(work(5));
	}
	CHECK(pid > 0);
	return wait_for(pid);
}

NOINLINE int by_spawn(const char *self, char *const argv[])
{
	pid_t pid;
	int error = posix_spawn(&pid, self, NULL, NULL, argv, environ);

	return error ? -error : wait_for(pid);
}

int main(int argc, char **argv)
{
	char self[4096];
	char *leaf[] = { argv[0], (char *)"leaf", NULL };
	char *chain[] = { argv[0], (char *)"chain3", NULL };
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	CHECK(length > 0);
	self[length] = 0;
	if (argc > 1 && !strcmp(argv[1], "leaf"))
		return work(17);
	if (argc > 1 && !strncmp(argv[1], "chain", 5)) {
		char next[] = "chain0";
		char *again[] = { argv[0], next, NULL };

		if (argv[1][5] == '0')
			return work(4);
		next[5] = argv[1][5] - 1;
		work(1);
		execv(self, again);
		return 98;
	}
	printf("vfork and _exit: %d\n", by_vfork(self, NULL));
	printf("vfork and exec: %d\n", by_vfork(self, leaf));
	printf("vfork and failing exec: %d\n", by_vfork("/nonexistent", leaf));
	printf("exec chain: %d\n", by_vfork(self, chain));
	printf("spawn: %d\n", by_spawn(self, leaf));
	printf("spawn of nothing: %d\n", by_spawn("/nonexistent", leaf));
	for (int i = 0; i < 20; i++)
		CHECK(by_vfork(self, NULL) == 42);
	printf("system: %d\n", WEXITSTATUS(system("exit 9")));
	return 0;
}
