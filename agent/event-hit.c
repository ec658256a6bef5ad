/* SPDX-License-Identifier: MIT */
/* A hit of an event, in the middle of the traced program's calls. */
#include <ftrace/ptrace.h>

#include "agent/agent.h"
#include "agent/event-filter.h"
#include "agent/event-trigger.h"
#include "agent/event.h"
#include "engine/payload.h"
#include "engine/site.h"

static void record(const struct agent_event *e, const struct fetch_site *at,
		   const struct fetched *values, u32 site, unsigned long ip)
{
	u32 size = fetch_size(e->args, e->nargs, values), used, faults;
	struct ftrace_event_head *head;
	struct ftrace_payload p;

	if (!ftrace_payload_begin(&p, e->id, size / 8, user_stack_pointer(at->regs)))
		return;
	head = (struct ftrace_event_head *)p.data;
	used = fetch_store(e->args, e->nargs, at, values, (char *)p.data, size, &faults);
	head->func = site;
	head->faults = faults;
	head->ip = ip;
	ftrace_payload_end(&p, used);
}

void event_hit(struct agent_event *e, struct pt_regs *regs, u32 site, unsigned long ip,
	       const unsigned long *entry_args, const struct usdt_site *usdt)
{
	const struct event_filter *filter = smp_load_acquire(&e->filter);
	const struct event_trigger *triggers = smp_load_acquire(&e->triggers);
	struct fetch_site at = { .regs = regs, .entry_args = entry_args, .ret = event_is_return(e),
				 .usdt = usdt };
	/* The program's stack may be small: what is not needed is not there. */
	struct fetched values[e->nargs + 1];
	char scratch[e->strings ? FETCH_SCRATCH : 1];

	if (unlikely(READ_ONCE(ftrace_silent) && !triggers))
		return;
	if (unlikely(ftrace_thread_hides_events()))
		return;
	if (unlikely(READ_ONCE(ftrace_silent) & FTRACE_SILENT_STOP || READ_ONCE(agent.off)))
		return;
	ftrace_peek_begin(&at.peek, user_stack_pointer(regs));
	fetch_values(e->args, e->nargs, e->symbols, &at, values, scratch);
	if (filter && !event_filter_match(filter, e->args, values, &at))
		return;
	if (triggers)
		event_triggers_run(e, TRIGGER_BEFORE, values, &at);
	if (e->enabled && !READ_ONCE(ftrace_silent))
		record(e, &at, values, site, ip);
	if (triggers)
		event_triggers_run(e, TRIGGER_BEHIND, values, &at);
}
