/* SPDX-License-Identifier: MIT */
/* Starts threads in its constructor; they run code of this library and of the executable. */
#include "t.h"
#include <pthread.h>

long ctor_join(void);
long exported_to_library(long n);
static pthread_t ids[3];
NOINLINE long lib_work(long n) { KEEP(); return n + 1; }
static void *thread(void *arg)
{
	long n = 0;

	for (int i = 0; i < 100000; i++)
		n = lib_work(n);
	for (int i = 0; i < 1000; i++)
		n = exported_to_library(n);
	return (void *)(n + (long)arg);
}

static __attribute__((constructor)) void begin(void)
{
	for (long i = 0; i < 3; i++)
		CHECK(pthread_create(&ids[i], NULL, thread, (void *)i) == 0);
}

long ctor_join(void)
{
	long sum = 0;

	for (int i = 0; i < 3; i++) {
		void *value;

		pthread_join(ids[i], &value);
		sum += (long)value;
	}
	return sum;
}
