/* SPDX-License-Identifier: MIT */
/* Functions that are patched; compiled for tracing, as nothing else of the tests is. */
#include <sys/syscall.h>
#include <unistd.h>

#include "targets.h"

__attribute__((noinline)) long target_add(long a, long b)
{
	return a + b;
}

__attribute__((noinline)) long target_twice(long a)
{
	return 2 * a;
}

__attribute__((noinline)) long target_eight(long a, long b, long c, long d, long e, long f, long g,
					    long h)
{
	return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h;
}

__attribute__((noinline)) int target_version(void)
{
	return 1;
}

__attribute__((noinline)) int target_version2(void)
{
	return 2;
}

__attribute__((noinline)) int target_pid(void)
{
	return (int)syscall(SYS_getpid);
}

__attribute__((noinline)) int target_pid2(void)
{
	return -(int)syscall(SYS_getpid);
}

__attribute__((noinline)) int target_other(void)
{
	return 10;
}

/* Blocks in a system call, the function on the stack. */
__attribute__((noinline)) int target_wait(int fd)
{
	char c;
	int n = (int)read(fd, &c, 1);

	return n == 1 ? 1 : -1;
}

/* Its call may leave the stack in the middle of it. */
__attribute__((noinline)) int target_call(void (*func)(void))
{
	func();
	return 1;
}

static __attribute__((noinline)) int twin(void)
{
	__asm__ volatile("");
	return 1;
}

int target_twin(void)
{
	return twin();
}
