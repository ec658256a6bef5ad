/* SPDX-License-Identifier: MIT */
/*
 * Filters on values, the kernel's (Documentation/trace/events.rst): "a > 10 && (name ~ "x*" || !(flags & 4))".
 *
 * A number's operators are == != < <= > >= &, a string's == != ~ (a glob). Fields are the event's arguments,
 * common_pid and common_tid. What is a fault matches nothing but != .
 */
#ifndef FTRACE_AGENT_EVENT_FILTER_H
#define FTRACE_AGENT_EVENT_FILTER_H

#include "agent/fetch.h"

struct agent_event;
struct event_filter;
struct control_text;

/*
 * Understand @text for an event with @args. 0, -EINVAL or -E2BIG with @error, -ENOMEM. Freestanding; the command checks
 * filters with it.
 */
int event_filter_parse(struct event_filter **filter, const struct fetch_arg *args, u32 nargs,
		       const char *text, u32 len, struct probe_error *error);
void event_filter_free(struct event_filter *filter);	/* NULL too */

/* Its text, for reading it back. */
const char *event_filter_text(const struct event_filter *filter);

/* Does the filter let the event pass? */
bool event_filter_match(const struct event_filter *filter, const struct fetch_arg *args,
			const struct fetched *values, const struct fetch_site *at);

/* Give @e the filter of @text, "0" or "": none. 0 or -errno, in the error log. */
int event_filter_set(struct agent_event *e, const char *text, u32 len);

#endif /* FTRACE_AGENT_EVENT_FILTER_H */
