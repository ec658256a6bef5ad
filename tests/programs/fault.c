/* SPDX-License-Identifier: MIT */
/*
 * usage: fault WHAT [LIBRARY]
 *
 * Takes something away from itself (or its next image), then calls traced functions in old and new
 * threads, on coroutine stacks, and in a library loaded only then. WHAT: nothing, mlockall,
 * undumpable, mdwe (and mdwe-exec: before an exec), rlimit-as, rlimit-nofile, chroot, no-proc-fd.
 */
#include "t.h"
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <ucontext.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE			65
#define PR_MDWE_REFUSE_EXEC_GAIN	1
#endif

NOINLINE long work(long n) { KEEP(); return n + 1; }
NOINLINE long deep(long n) { long r = n ? deep(n - 1) : work(0); KEEP(); return r + 1; }
static void *thread(void *arg)
{
	long n = 0;

	for (int i = 0; i < 100000; i++)
		n = work(n);
	return (void *)(n + deep((long)arg));
}

static ucontext_t home, task;
NOINLINE void body(void) { deep(20); swapcontext(&task, &home); deep(30); }
NOINLINE void coroutine(void)
{
	char *stack = malloc(65536);

	CHECK(stack != NULL);
	getcontext(&task);
	task.uc_stack.ss_sp = stack;
	task.uc_stack.ss_size = 65536;
	task.uc_link = &home;
	makecontext(&task, body, 0);
	swapcontext(&home, &task);
	swapcontext(&home, &task);
	free(stack);
}

static long address_space(void)
{
	long kbytes = 0;
	char line[256];
	FILE *file = fopen("/proc/self/status", "r");

	CHECK(file != NULL);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "VmSize: %ld", &kbytes);
	fclose(file);
	return kbytes;
}

static void take_away(const char *what, char **argv)
{
	struct rlimit limit;

	if (!strcmp(what, "mlockall")) {
		CHECK(mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
	} else if (!strcmp(what, "undumpable")) {
		CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
	} else if (!strcmp(what, "mdwe")) {
		CHECK(prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0);
	} else if (!strcmp(what, "mdwe-exec")) {
		CHECK(prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0);
		argv[1] = (char *)"nothing";
		execv("/proc/self/exe", argv);
		CHECK(0);
	} else if (!strcmp(what, "rlimit-as")) {
		limit.rlim_cur = limit.rlim_max = (address_space() + 32 * 1024) * 1024ul;
		CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	} else if (!strcmp(what, "rlimit-nofile")) {
		limit.rlim_cur = limit.rlim_max = 4;
		CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	} else if (!strcmp(what, "chroot")) {
		CHECK(chroot("/var/empty") == 0 || chroot("/mnt") == 0);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "nothing";
	pthread_attr_t attributes;
	pthread_t ids[2];
	long sum = 0;

	sum = deep(100);
	take_away(what, argv);
	if (argc > 2) {
		void *library = dlopen(argv[2], RTLD_NOW);
		long (*entry)(long);

		CHECK(library != NULL);
		CHECK((entry = (long (*)(long))dlsym(library, "plugin_entry")) != NULL);
		for (int i = 0; i < 1000; i++)
			sum += entry(i);
	}
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 256 * 1024);
	for (int round = 0; round < 3; round++) {
		for (long i = 0; i < 2; i++)
			CHECK(pthread_create(&ids[i], &attributes, thread, (void *)(100 + i)) == 0);
		for (int i = 0; i < 2; i++) {
			void *value;

			pthread_join(ids[i], &value);
			sum += (long)value;
		}
		coroutine();
	}
	printf("%s: %ld\n", what, sum);
	return 3;
}
