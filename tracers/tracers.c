/* SPDX-License-Identifier: MIT */
/* The list of tracers. */
#include <stddef.h>

#include "tracers/tracer.h"

struct tracer *const tracers[] = {
	&tracer_function_graph,
	&tracer_function,
	&tracer_stack,
	&tracer_profile,
	&tracer_nop,
	NULL
};

u32 tracer_unloads;

static void *no_file(const char *suffix, u64 offset, size_t bytes)
{
	return (void *)(long)-ENODEV;
}

void *(*tracer_file)(const char *suffix, u64 offset, size_t bytes) = no_file;

struct tracer *tracer_find(const char *name, unsigned long len)
{
	struct tracer *const *t;

	for (t = tracers; *t; t++)
		if (ft_strlen((*t)->name) == len && !ft_strncmp((*t)->name, name, len))
			return *t;
	return NULL;
}
