/* SPDX-License-Identifier: MIT */
/* Two threads take turns, 1000 each. */
#include "t.h"
#include <pthread.h>
#include <sched.h>

static volatile int whose;
NOINLINE void turn(int me) { __atomic_store_n(&whose, !me, __ATOMIC_SEQ_CST); }
static UNTRACED void *player(void *arg)
{
	int me = (int)(long)arg;

	for (int i = 0; i < 1000; i++) {
		while (__atomic_load_n(&whose, __ATOMIC_SEQ_CST) != me)
			sched_yield();
		turn(me);
	}
	return NULL;
}

UNTRACED int main(void)
{
	pthread_t id;

	CHECK(pthread_create(&id, NULL, player, (void *)1L) == 0);
	player(NULL);
	pthread_join(id, NULL);
	printf("done\n");
	return 0;
}
