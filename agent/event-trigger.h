/* SPDX-License-Identifier: MIT */
/*
 * Triggers: what an event does beside being recorded (Documentation/trace/events.rst).
 *
 *	[!]traceon|traceoff|snapshot|stacktrace[:COUNT] [if FILTER]
 *
 * Each kind once an event, as in the kernel. An event with triggers that is not enabled is hit all the same, and not
 * recorded.
 */
#ifndef FTRACE_AGENT_EVENT_TRIGGER_H
#define FTRACE_AGENT_EVENT_TRIGGER_H

#include "agent/event-filter.h"

struct event_trigger;

/* Add or remove as @text says. 0 or -errno, in the error log. event_lock() is held. */
int event_trigger_write(struct agent_event *e, const char *text, u32 len);
void event_triggers_show(const struct agent_event *e, struct control_text *out);

/* "BEFORE:TRIGGER" lines. */
void event_triggers_each_line(const struct agent_event *e, const char *before, struct control_text *out);

/* Is there a trigger called @name? */
bool event_trigger_is(const char *name, u32 len);
void event_triggers_free(struct event_trigger *triggers);

/* Triggers of a hit, those that come before it is recorded and those behind. @slot: the stack pointer. */
enum event_trigger_when { TRIGGER_BEFORE, TRIGGER_BEHIND };
void event_triggers_run(const struct agent_event *e, enum event_trigger_when when,
			const struct fetched *values, const struct fetch_site *at);

#endif /* FTRACE_AGENT_EVENT_TRIGGER_H */
