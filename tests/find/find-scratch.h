/* SPDX-License-Identifier: MIT */
/* Stands in for engine/scratch.h in the fuzzer: memory that the sanitizer watches. */
#ifndef FTRACE_ENGINE_SCRATCH_H
#define FTRACE_ENGINE_SCRATCH_H

#include <stdlib.h>

#include "engine/base.h"

static inline void *scratch_alloc(size_t size)
{
	return size ? calloc(1, size) : NULL;
}

static inline void scratch_free(void *p, size_t size)
{
	free(p);
}

int ft_sort(void *records, size_t n, size_t size);

#endif /* FTRACE_ENGINE_SCRATCH_H */
