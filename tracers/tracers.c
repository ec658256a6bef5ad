/* SPDX-License-Identifier: MIT */
/* The list of tracers. */
#include <stddef.h>

#include "engine/base.h"
#include "tracers/tracer.h"

struct tracer *const tracers[] = {
	&tracer_function_graph,
	&tracer_function,
	&tracer_nop,
	NULL
};

struct tracer *tracer_find(const char *name, unsigned long len)
{
	struct tracer *const *t;

	for (t = tracers; *t; t++)
		if (ft_strlen((*t)->name) == len && !ft_strncmp((*t)->name, name, len))
			return *t;
	return NULL;
}
