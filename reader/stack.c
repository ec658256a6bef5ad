/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "reader/stack.h"

int trace_stack_grow(struct trace_stack *stack)
{
	uint32_t size = stack->size ? stack->size * 2 : 32;
	struct trace_frame *frames;

	if (stack->size >= TRACE_STACK_MAX)
		return -E2BIG;
	frames = reallocarray(stack->frames, size, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	stack->frames = frames;
	stack->size = size;
	return 0;
}

void trace_stack_free(struct trace_stack *stack)
{
	free(stack->frames);
	stack->frames = NULL;
	stack->size = stack->depth = 0;
}
