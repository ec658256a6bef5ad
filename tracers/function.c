/* SPDX-License-Identifier: MIT */
/* The function tracer: one record a call. */
#include <ftrace/ftrace.h>

#include "tracers/tracer.h"

static struct ftrace_ops function_ops = { .flags = FTRACE_OPS_FL_RECORD };

static int function_init(void)
{
	return register_ftrace_function(&function_ops);
}

static int function_reset(void)
{
	return unregister_ftrace_function(&function_ops);
}

struct tracer tracer_function = {
	.name = "function",
	.init = function_init,
	.reset = function_reset,
	.ops = &function_ops,
};
