/* SPDX-License-Identifier: MIT */
/* Coroutines by swapcontext on heap, mmap, static and stack-embedded stacks, calls on each of them. */
#include "t.h"
#include <sys/mman.h>
#include <ucontext.h>

#define STACK 65536
static ucontext_t main_context, contexts[8];
static int running;
static long total;

NOINLINE long yield(long value)
{
	total += value;
	swapcontext(&contexts[running], &main_context);
	return value + 1;
}

NOINLINE long walk(int depth, long value)
{
	long r;

	if (depth == 0)
		return yield(value);
	r = walk(depth - 1, value + depth);
	KEEP();
	return r + 1;
}

NOINLINE void body(void)
{
	long sum = 0;

	for (int i = 0; i < 50; i++)
		sum += walk(i % 12, i + running);
	total += sum;
}

NOINLINE void start(int which, void *stack)
{
	CHECK(getcontext(&contexts[which]) == 0);
	contexts[which].uc_stack.ss_sp = stack;
	contexts[which].uc_stack.ss_size = STACK;
	contexts[which].uc_link = &main_context;
	makecontext(&contexts[which], body, 0);
}

NOINLINE void resume(int which)
{
	running = which;
	swapcontext(&main_context, &contexts[which]);
}

static char fixed[STACK] __attribute__((aligned(16)));

int main(void)
{
	char embedded[STACK] __attribute__((aligned(16)));

	for (int round = 0; round < 20; round++) {
		void *heap = malloc(STACK);
		void *mapped = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		start(0, heap);
		start(1, mapped);
		start(2, fixed);
		start(3, embedded);
		for (int i = 0; i < 51; i++)
			for (int which = 0; which < 4; which++)
				resume(which);
		free(heap);
		munmap(mapped, STACK);
	}
	printf("total %ld\n", total);
	return 0;
}
