/* SPDX-License-Identifier: MIT */
/* A filter, between event-filter.c, which understands it, and event-match.c. */
#ifndef FTRACE_AGENT_EVENT_FILTER_NODES_H
#define FTRACE_AGENT_EVENT_FILTER_NODES_H

#include "agent/event-filter.h"

#define MAX_NODES	64u
#define MAX_PATTERN	128u	/* letters of a string, and of what a glob is compared with */

enum op {
	OP_OR, OP_AND, OP_NOT,
	OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_BITS,	/* of numbers; EQ and NE of strings, too */
	OP_GLOB,
};

/* What is compared: an argument's number, or one of these. */
enum { FIELD_PID = 0x100, FIELD_TID, FIELD_COMM };

struct node {
	u8 op;
	bool string, is_signed;
	u16 field;
	u16 left, right;		/* OR, AND, NOT: nodes */
	u64 value;
	const char *text;		/* of a string; in the filter's text */
	u32 len;
};

struct event_filter {
	char *text;			/* as it was written */
	u32 len, nnodes, root;
	struct node nodes[MAX_NODES];
};

#endif /* FTRACE_AGENT_EVENT_FILTER_NODES_H */
