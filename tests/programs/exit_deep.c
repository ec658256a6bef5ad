/* SPDX-License-Identifier: MIT */
/* The end in the depths of calls: exit, _exit, quick_exit, abort, SIGSEGV, SIGKILL, another thread's. */
#include "t.h"
#include <pthread.h>
#include <signal.h>

static const char *how;
NOINLINE int work(int n) { KEEP(); return n + 1; }
NOINLINE void at_exit(void) { printf("atexit %d\n", work(1)); }
NOINLINE void at_quick_exit_handler(void) { printf("quick %d\n", work(2)); fflush(stdout); }
static __attribute__((destructor)) void destructor(void) { printf("destructor %d\n", work(3)); }

NOINLINE void finish(void)
{
	fflush(stdout);
	if (!strcmp(how, "exit"))
		exit(work(40));
	if (!strcmp(how, "_exit"))
		_exit(work(41));
	if (!strcmp(how, "quick_exit"))
		quick_exit(work(42));
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "segv"))
		*(volatile int *)8 = 1;
	if (!strcmp(how, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(how, "term"))
		raise(SIGTERM);
}
NOINLINE int deep(int n)
{
	int r;

	if (n == 0)
		finish();
	r = deep(n - 1);
	KEEP();
	return r + 1;
}
static void *thread(void *arg) { return (void *)(long)deep((int)(long)arg); }

int main(int argc, char **argv)
{
	pthread_t id;

	CHECK(argc > 1);
	how = argv[1];
	atexit(at_exit);
	at_quick_exit(at_quick_exit_handler);
	printf("begin %d\n", work(0));
	if (argc > 2) {	/* in another thread, with main waiting or gone */
		pthread_create(&id, NULL, thread, (void *)20L);
		if (!strcmp(argv[2], "gone"))
			pthread_exit(NULL);
		pthread_join(id, NULL);
	}
	return deep(50);
}
