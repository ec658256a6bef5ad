/* SPDX-License-Identifier: MIT */
/* Deep recursion, stacks as small as they may be, and running out of stack with a handler to jump out. */
#include "t.h"
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

static sigjmp_buf out;
static volatile long reached;

NOINLINE long deep(long n) { long r = n ? deep(n - 1) : 0; KEEP(); return r + 1; }
NOINLINE long endless(long n)
{
	volatile char room[100];

	room[n % 100] = 1;
	reached = n;
	return endless(n + 1) + room[n % 100];
}
NOINLINE void handler(int number) { (void)number; deep(3); siglongjmp(out, 1); }
static void *thread(void *arg) { return (void *)deep((long)arg); }

int main(void)
{
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 };
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
	pthread_attr_t attributes;
	volatile int overflows = 0;

	printf("%ld\n", deep(100000));
	pthread_attr_init(&attributes);
	CHECK(pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN) == 0);
	for (int i = 0; i < 100; i++) {
		pthread_t id;
		void *value;

		CHECK(pthread_create(&id, &attributes, thread, (void *)50L) == 0);
		CHECK(pthread_join(id, &value) == 0 && (long)value == 51);
	}
	sigaltstack(&stack, NULL);
	sigaction(SIGSEGV, &action, NULL);
	while (overflows < 5)
		if (sigsetjmp(out, 1) == 0)
			endless(0);
		else
			overflows++;
	CHECK(reached > 10000);
	printf("overflows %d, then %ld\n", overflows, deep(1000));
	return 0;
}
