/* SPDX-License-Identifier: MIT */
/*
 * Large memory for the length of one operation, given back to the system afterwards (ft_alloc()
 * keeps what it has). Zeroed; only pages that are written take memory.
 */
#ifndef FTRACE_ENGINE_SCRATCH_H
#define FTRACE_ENGINE_SCRATCH_H

#include <linux/mman.h>

#include "base.h"

/* NULL: refused, or no size at all. */
static inline void *scratch_alloc(size_t size)
{
	void *p = size ? ft_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				 -1, 0) : NULL;

	return ft_is_err(p) ? NULL : p;
}

static inline void scratch_free(void *p, size_t size)
{
	if (p)
		arch_syscall(SYS_munmap, (long)p, (long)size, 0, 0, 0, 0);
}

/*
 * Sort @n records of @size bytes (a multiple of sizeof(long)) by the u64 each begins with; equal ones keep
 * their order. O(n). -ENOMEM. (sort.c)
 */
int ft_sort(void *records, size_t n, size_t size);

#endif /* FTRACE_ENGINE_SCRATCH_H */
