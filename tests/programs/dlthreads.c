/* SPDX-License-Identifier: MIT */
/* dlopen/dlclose in one thread while others run traced code and throw signals at each other. */
#include "t.h"
#include <dlfcn.h>
#include <pthread.h>

static volatile int stop;
NOINLINE long work(long n) { KEEP(); return n + 1; }
static void *thread(void *arg)
{
	long n = 0, bad = 0;

	(void)arg;
	while (!stop) {
		long m = work(n);

		bad += m != n + 1;
		n = m;
	}
	return (void *)bad;
}

int main(int argc, char **argv)
{
	pthread_t ids[2];
	long bad = 0, sum = 0;

	CHECK(argc == 3);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&ids[i], NULL, thread, NULL) == 0);
	for (int i = 0; i < 200; i++) {
		void *library = dlopen(argv[1 + i % 2], RTLD_NOW);
		long (*entry)(long);

		CHECK(library != NULL);
		CHECK((entry = (long (*)(long))dlsym(library, "plugin_entry")) != NULL);
		sum += entry(i);
		dlclose(library);
	}
	stop = 1;
	for (int i = 0; i < 2; i++) {
		void *value;

		pthread_join(ids[i], &value);
		bad += (long)value;
	}
	printf("bad %ld sum %ld\n", bad, sum);
	return 0;
}
