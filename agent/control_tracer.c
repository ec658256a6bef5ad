/* SPDX-License-Identifier: MIT */
/* current_tracer, available_tracers, tracing_on, snapshot. */
#include "agent/agent.h"
#include "agent/control.h"
#include "engine/site.h"
#include "tracers/tracer.h"

static struct tracer *current = &tracer_nop;

static int current_tracer_write(const char *value, size_t len, enum control_mode mode)
{
	struct tracer *t = tracer_find(value, len);
	int err = 0;

	if (!t)
		return ft_log(-EINVAL, "current_tracer: no tracer of that name; see available_tracers");
	if (t == current)
		return 0;
	if (current->reset)
		err = current->reset();
	if (err)
		return err;
	current = &tracer_nop;
	err = t->init ? t->init() : 0;
	if (!err)
		current = t;
	return err;
}

void control_tracer_forked(void)
{
	if (current->forked)
		current->forked();
}

static int current_tracer_read(struct control_text *out)
{
	control_printf(out, "%s\n", current->name);
	return 0;
}

static int available_tracers_read(struct control_text *out)
{
	struct tracer *const *t;

	for (t = tracers; *t; t++)
		control_printf(out, "%s%s", t == tracers ? "" : " ", (*t)->name);
	control_puts(out, "\n");
	return 0;
}

static int tracing_on_write(const char *value, size_t len, enum control_mode mode)
{
	if (len != 1 || (*value != '0' && *value != '1'))
		return ft_log(-EINVAL, "tracing_on: neither 0 nor 1");
	if (*value == '0')
		__atomic_fetch_or(&ftrace_silent, FTRACE_SILENT_PAUSED, __ATOMIC_RELAXED);
	else if (READ_ONCE(agent.off))
		return ft_log(-ESHUTDOWN, "tracing_on: the recording of this process has ended");
	else
		__atomic_fetch_and(&ftrace_silent, ~(u32)FTRACE_SILENT_PAUSED, __ATOMIC_RELAXED);
	return 0;
}

static int tracing_on_read(struct control_text *out)
{
	control_puts(out, READ_ONCE(ftrace_silent) & FTRACE_SILENT_PAUSED ? "0\n" : "1\n");
	return 0;
}

static int snapshot_write(const char *value, size_t len, enum control_mode mode)
{
	int err;

	if (len != 1 || *value != '1')
		return ft_log(-EINVAL, "snapshot: not 1, which takes one");
	err = agent_snapshot();
	if (err == -EOPNOTSUPP)
		return ft_log(err, "snapshot: there is no flight recorder to take one of; record with --overwrite");
	if (err == -EBUSY)
		return ft_log(err, "snapshot: one is being written; try again in a moment");
	return err ? ft_log(err, "snapshot: nothing is recorded") : 0;
}

static int snapshot_read(struct control_text *out)
{
	const struct ftrace_session *s = agent.session;
	u32 taken;

	if (!agent_is_recording() || !s->overwrite) {
		control_puts(out, "# No flight recorder (--overwrite), so there are no snapshots.\n");
		return 0;
	}
	taken = smp_load_acquire(&s->snapshots_taken);
	control_printf(out, "# taken: %u, being written: %u, missed: %u\n", taken,
		       READ_ONCE(s->snapshots_asked) - taken, READ_ONCE(s->snapshots_missed));
	return 0;
}

const struct control_file control_tracer_files[] = {
	{ "current_tracer", 0, current_tracer_read, current_tracer_write },
	{ "available_tracers", 0, available_tracers_read, NULL },
	{ "tracing_on", 0, tracing_on_read, tracing_on_write },
	{ "snapshot", 0, snapshot_read, snapshot_write },
	{ 0 }
};
