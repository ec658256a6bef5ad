/* SPDX-License-Identifier: MIT */
/* The function that is replaced, compiled for tracing; and one that blocks. */
#include <unistd.h>

int patched(int x);
int wait_in(int fd);

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
