/* SPDX-License-Identifier: MIT */
/* A tree of forks, each process calling traced functions before and after; statuses add up. */
#include "t.h"
#include <sys/wait.h>

NOINLINE int work(int n) { KEEP(); return n * 2 + 1; }
NOINLINE int tree(int depth)
{
	int sum = work(depth) & 1;

	for (int i = 0; i < 2 && depth > 0; i++) {
		pid_t pid;
		int status;

		fflush(stdout);
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			work(i);
			exit(tree(depth - 1));
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status));
		sum += WEXITSTATUS(status);
	}
	return sum;
}

int main(void)
{
	printf("processes %d\n", tree(5));
	return 0;
}
