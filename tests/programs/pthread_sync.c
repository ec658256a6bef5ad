/* SPDX-License-Identifier: MIT */
/* Producers and consumers with mutexes and condition variables; many threads alive at once. */
#include "t.h"
#include <pthread.h>

#define THREADS 200
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long queue[16], filled, produced, consumed;
static __thread long own;

NOINLINE void put(long n)
{
	pthread_mutex_lock(&lock);
	while (filled == 16)
		pthread_cond_wait(&changed, &lock);
	queue[filled++] = n;
	produced += n;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}
NOINLINE long take(void)
{
	long n;

	pthread_mutex_lock(&lock);
	while (filled == 0)
		pthread_cond_wait(&changed, &lock);
	n = queue[--filled];
	consumed += n;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return n;
}
static void *producer(void *arg) { for (long i = 0; i < 20; i++) put((long)arg + i); return NULL; }
static void *consumer(void *arg) { (void)arg; for (int i = 0; i < 20; i++) own += take(); return NULL; }

int main(void)
{
	pthread_t ids[THREADS];

	for (long i = 0; i < THREADS; i++)
		CHECK(pthread_create(&ids[i], NULL, i % 2 ? producer : consumer, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	printf("%d %ld\n", produced == consumed, produced);
	return 0;
}
