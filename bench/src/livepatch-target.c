/* SPDX-License-Identifier: MIT */
/* The function that is replaced, compiled for tracing; and two that hold a transition up. */
#include <unistd.h>

int patched(int x);
int wait_in(int fd);
void call_in(void (*func)(void));

__attribute__((noinline)) int patched(int x)
{
	__asm__ volatile("");
	return x + 1;
}

/* Blocks; what replaces patched() does not concern it. */
__attribute__((noinline)) int wait_in(int fd)
{
	char c;

	return (int)read(fd, &c, 1);
}

/* As long as it runs its thread does not go over. */
__attribute__((noinline)) void call_in(void (*func)(void))
{
	func();
	__asm__ volatile("");
}
