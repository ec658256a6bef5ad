/* SPDX-License-Identifier: MIT */
/* Does a filter let an event pass? In the middle of the traced program's calls. */
#include <sys/prctl.h>

#include "agent/event-filter-nodes.h"
#include "engine/find.h"
#include "engine/thread.h"

static bool compare(const struct node *n, u64 v)
{
	switch (n->op) {
	case OP_EQ:
		return v == n->value;
	case OP_NE:
		return v != n->value;
	case OP_BITS:
		return v & n->value;
	case OP_LT:
		return n->is_signed ? (s64)v < (s64)n->value : v < n->value;
	case OP_LE:
		return n->is_signed ? (s64)v <= (s64)n->value : v <= n->value;
	case OP_GT:
		return n->is_signed ? (s64)v > (s64)n->value : v > n->value;
	default:
		return n->is_signed ? (s64)v >= (s64)n->value : v >= n->value;
	}
}

static bool match_string(const struct node *n, const struct fetched *values,
			 const struct fetch_site *at)
{
	/* One letter more than any pattern, so that a longer string differs; a glob sees its beginning. */
	char buf[MAX_PATTERN + 2];
	const char *s = buf;
	bool same;

	if (n->field == FIELD_COMM) {
		if (READ_ONCE(ftrace_no_syscalls) ||
		    arch_syscall(SYS_prctl, PR_GET_NAME, (long)buf, 0, 0, 0, 0))
			s = NULL;
	} else {
		s = fetch_string(at, &values[n->field], buf, sizeof(buf));
	}
	if (!s)
		return n->op == OP_NE;
	if (n->op == OP_GLOB)
		return ftrace_glob(n->text, n->len, s);
	same = !ft_strncmp(s, n->text, n->len) && !s[n->len];
	return same == (n->op == OP_EQ);
}

static bool match(const struct event_filter *f, u32 i, const struct fetched *values,
		  const struct fetch_site *at)
{
	const struct node *n = &f->nodes[i];

	switch (n->op) {
	case OP_OR:
		return match(f, n->left, values, at) || match(f, n->right, values, at);
	case OP_AND:
		return match(f, n->left, values, at) && match(f, n->right, values, at);
	case OP_NOT:
		return !match(f, n->left, values, at);
	}
	if (n->string)
		return match_string(n, values, at);
	if (n->field == FIELD_PID)
		return compare(n, (u64)(s64)ftrace_process_pid());
	if (n->field == FIELD_TID)
		return compare(n, (u64)(s64)ftrace_thread_tid());
	if (values[n->field].fault)
		return n->op == OP_NE;
	return compare(n, values[n->field].v);
}

bool event_filter_match(const struct event_filter *filter, const struct fetch_arg *args,
			const struct fetched *values, const struct fetch_site *at)
{
	return match(filter, filter->root, values, at);
}
