/* SPDX-License-Identifier: MIT */
/* s390: threads the C library knows nothing of; not made here yet. */
#include "arch.h"

unsigned long arch_thread_pointer(void)
{
	return (unsigned long)__builtin_thread_pointer();
}

void *arch_thread_block(void *block, size_t below)
{
	return NULL;
}

int arch_clone_thread(void *stack_end, void *tp, u32 *tid, void (*func)(void *arg), void *arg)
{
	return -ENOSYS;
}
