/* SPDX-License-Identifier: MIT */
/* Four threads, each calling work() 300,000 times. */
#include "t.h"
#include <pthread.h>

NOINLINE long work(long n) { KEEP(); return n + 1; }
NOINLINE void *thread(void *arg)
{
	long n = (long)arg;

	for (int i = 0; i < 300000; i++)
		n = work(n);
	return (void *)n;
}

int main(void)
{
	pthread_t ids[4];
	long sum = 0;

	for (long i = 0; i < 4; i++)
		CHECK(pthread_create(&ids[i], NULL, thread, (void *)i) == 0);
	for (int i = 0; i < 4; i++) {
		void *value;

		pthread_join(ids[i], &value);
		sum += (long)value;
	}
	printf("%ld\n", sum);
	return 0;
}
