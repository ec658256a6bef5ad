/* SPDX-License-Identifier: MIT */
/* Between arguments.c and arguments-text.c. */
#ifndef TRACE_ARGUMENTS_INTERNAL_H
#define TRACE_ARGUMENTS_INTERNAL_H

#include "reader/arguments.h"

struct proto_name {
	const char *name;
	uint64_t mask, value;
};

struct arguments_enum {
	unsigned long number;
	struct proto_name *names;
	size_t n;
};

struct arguments_call {
	const char *event, *symbol, *text;
};

struct trace_arguments {
	char *text;
	struct arguments_call *calls;	/* by event */
	size_t ncalls, calls_capacity;
	struct arguments_enum *enums;
	size_t nenums, enums_capacity;
};

const struct arguments_call *arguments_call(const struct trace_arguments *args, const struct trace_event *event);
const struct arguments_enum *arguments_enum(const struct trace_arguments *args, unsigned long number);

#endif /* TRACE_ARGUMENTS_INTERNAL_H */
