/* SPDX-License-Identifier: MIT */
/* Calls whose return addresses lie at every word of two pages, aligned or not; returned from, and left. */
#include "t.h"
#include <setjmp.h>

#define PLACES	(8192 / 8)

static jmp_buf left;
static long leaves;

NOINLINE void leaf(void)
{
	leaves++;
	KEEP();
}

NOINLINE void outer(void)
{
	leaf();
	leaf();
	KEEP();
}

NOINLINE void thrower(void)
{
	leaf();
	longjmp(left, 1);
}

NOINLINE void around(void)
{
	thrower();
	KEEP();
}

/* @f, with the stack pointer that many bytes (and a red zone) lower. */
static inline void call_lower(void (*f)(void), unsigned long bytes)
{
#if defined(__x86_64__)
	asm volatile("movq %%rsp, %%rbx\n\tleaq -128(%%rsp), %%rsp\n\tsubq %1, %%rsp\n\tcall *%0\n\tmovq %%rbx, %%rsp"
		     : : "r"(f), "r"(bytes)
		     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
#elif defined(__i386__)
	asm volatile("movl %%esp, %%esi\n\tsubl %1, %%esp\n\tcall *%0\n\tmovl %%esi, %%esp"
		     : : "r"(f), "r"(bytes) : "eax", "ecx", "edx", "esi", "memory", "cc");
#else
	volatile char *space = __builtin_alloca(bytes + 8);

	space[0] = 0;
	f();
#endif
}

int main(void)
{
	volatile unsigned long i;

	for (i = 0; i < PLACES; i++)
		call_lower(outer, 8 * i);
	CHECK(leaves == 2 * PLACES);
	for (i = 0; i < PLACES; i++)
		if (!setjmp(left))
			call_lower(around, 8 * i);
		else
			leaf();
	CHECK(leaves == 4 * PLACES);
	printf("leaves %ld\n", leaves);
	return 0;
}
