/* SPDX-License-Identifier: MIT */
/* A coroutine that goes on in another thread than the one it stopped in, and never-finished ones. */
#include "t.h"
#include <pthread.h>
#include <ucontext.h>

#define STACK 65536
static ucontext_t home, task;
static long total;

NOINLINE void yield(void) { swapcontext(&task, &home); }
NOINLINE long walk(int depth)
{
	long r;

	if (depth == 0) {
		yield();
		return 1;
	}
	r = walk(depth - 1);
	KEEP();
	return r + depth;
}
NOINLINE void body(void)
{
	for (int i = 0; i < 100; i++)
		total += walk(i % 10);
}
NOINLINE void resume(void) { swapcontext(&home, &task); }
static void *thread(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++)
		resume();
	return NULL;
}

int main(void)
{
	for (int round = 0; round < 10; round++) {
		char *stack = malloc(STACK);

		getcontext(&task);
		task.uc_stack.ss_sp = stack;
		task.uc_stack.ss_size = STACK;
		task.uc_link = &home;
		makecontext(&task, body, 0);
		for (int i = 0; i < 10; i++) {
			pthread_t id;

			resume();
			CHECK(pthread_create(&id, NULL, thread, NULL) == 0);
			pthread_join(id, NULL);
		}
		free(stack);	/* abandoned in the middle of walk() */
	}
	printf("total %ld\n", total);
	return 0;
}
