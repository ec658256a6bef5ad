/* SPDX-License-Identifier: MIT */
/* fork() while other threads trace, pthread_atfork handlers traced, children that trace much. */
#include "t.h"
#include <pthread.h>
#include <sys/wait.h>

static volatile int stop;
static int before, parent, child;

NOINLINE long work(long n) { KEEP(); return n + 1; }
NOINLINE void prepare_handler(void) { before++; work(1); }
NOINLINE void parent_handler(void) { parent++; work(2); }
NOINLINE void child_handler(void) { child++; work(3); }
static void *thread(void *arg)
{
	long n = 0;

	(void)arg;
	while (!stop)
		n = work(n);
	return NULL;
}

int main(void)
{
	pthread_t ids[2];
	int bad = 0;

	pthread_atfork(prepare_handler, parent_handler, child_handler);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&ids[i], NULL, thread, NULL) == 0);
	for (int i = 0; i < 50; i++) {
		int status;
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			long n = 0;

			for (int k = 0; k < 20000; k++)
				n = work(n);
			_exit(n == 20000 && child == 1 ? 3 : 4);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		bad += !WIFEXITED(status) || WEXITSTATUS(status) != 3;
	}
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(ids[i], NULL);
	printf("bad %d handlers %d %d %d\n", bad, before, parent, child);
	return 0;
}
