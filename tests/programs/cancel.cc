/* SPDX-License-Identifier: MIT */
/* pthread_cancel and pthread_exit in the depths: cleanup handlers and destructors run once each. */
#include "t.h"
#include <pthread.h>

static long destroyed, cleaned;
struct Guard { ~Guard() { __atomic_fetch_add(&destroyed, 1, __ATOMIC_SEQ_CST); } };
static pthread_barrier_t ready;

static NOINLINE void cleanup(void *arg)
{
	__atomic_fetch_add(&cleaned, (long)arg, __ATOMIC_SEQ_CST);
}

NOINLINE void sleep_forever(void)
{
	pthread_barrier_wait(&ready);
	for (;;)
		pause();
}

NOINLINE int deep(int n, bool leave)
{
	Guard guard;
	if (n == 0) {
		if (leave)
			pthread_exit((void *)5);
		sleep_forever();
	}
	int r = deep(n - 1, leave);
	KEEP();
	return r + 1;
}

static NOINLINE void *cancelled(void *)
{
	pthread_cleanup_push(cleanup, (void *)1);
	deep(10, false);
	pthread_cleanup_pop(0);
	return NULL;
}
static NOINLINE void *leaving(void *)
{
	pthread_cleanup_push(cleanup, (void *)100);
	deep(10, true);
	pthread_cleanup_pop(0);
	return NULL;
}
static NOINLINE void *spinning(void *)
{
	Guard guard;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	pthread_barrier_wait(&ready);
	for (;;)
		KEEP();
	return NULL;
}

int main()
{
	pthread_barrier_init(&ready, NULL, 2);
	for (int i = 0; i < 100; i++) {
		pthread_t id;
		void *value;

		CHECK(pthread_create(&id, NULL, i % 10 == 9 ? spinning : cancelled, NULL) == 0);
		pthread_barrier_wait(&ready);
		CHECK(pthread_cancel(id) == 0);
		CHECK(pthread_join(id, &value) == 0 && value == PTHREAD_CANCELED);

		CHECK(pthread_create(&id, NULL, leaving, NULL) == 0);
		CHECK(pthread_join(id, &value) == 0 && value == (void *)5);
	}
	printf("destroyed %ld cleaned %ld\n", destroyed, cleaned);
	return 0;
}
