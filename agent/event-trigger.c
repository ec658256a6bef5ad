/* SPDX-License-Identifier: MIT */
#include "agent/event-trigger.h"

#include <ftrace/ptrace.h>

#include "agent/agent.h"
#include "agent/control.h"
#include "agent/event.h"
#include "agent/probe-parse.h"
#include "engine/payload.h"
#include "engine/site.h"
#include "engine/stack-trace.h"

enum trigger_kind { TRIGGER_TRACEON, TRIGGER_TRACEOFF, TRIGGER_STACKTRACE, TRIGGER_SNAPSHOT, TRIGGER_KINDS };

static const char *const names[TRIGGER_KINDS] = { "traceon", "traceoff", "stacktrace", "snapshot" };
#define NAMES "traceon, traceoff, stacktrace, snapshot"

/* Never changed but for left: a list is replaced as a whole. */
struct event_trigger {
	struct event_trigger *next;
	enum trigger_kind kind;
	s64 count, left;		/* -1: as often as it is hit */
	struct event_filter *filter;
};

/* ---- at a hit ---- */

static void record_stack(const struct agent_event *e, const struct fetch_site *at)
{
	unsigned long ips[FTRACE_EVENT_MAX_STACK];
	u32 n = ftrace_stack_trace(at->regs, at->ret, ips, FTRACE_EVENT_MAX_STACK);
	struct ftrace_event_stack *stack;
	struct ftrace_payload p;

	if (!ftrace_payload_begin(&p, FTRACE_EVENT_STACK, sizeof(*stack) / 8 + n,
				  user_stack_pointer(at->regs)))
		return;
	stack = (struct ftrace_event_stack *)p.data;
	stack->event = e->id;
	stack->n = n;
	for (u32 i = 0; i < n; i++)
		p.data[1 + i] = ips[i];
	ftrace_payload_end(&p, 8 * (1 + n));
}

/* Is it one of the times it is for? */
static bool count_down(struct event_trigger *t)
{
	s64 left = READ_ONCE(t->left);

	while (left > 0)
		if (__atomic_compare_exchange_n(&t->left, &left, left - 1, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return true;
	return left < 0;
}

static void run(struct event_trigger *t, const struct agent_event *e, const struct fetch_site *at)
{
	bool off = READ_ONCE(ftrace_silent) & FTRACE_SILENT_PAUSED;

	/* As in the kernel, what would change nothing does not count. */
	if (t->kind != TRIGGER_SNAPSHOT && (t->kind == TRIGGER_STACKTRACE ? off : (t->kind == TRIGGER_TRACEON) != off))
		return;
	if (!count_down(t))
		return;
	if (t->kind == TRIGGER_STACKTRACE)
		record_stack(e, at);
	else if (t->kind == TRIGGER_SNAPSHOT)
		agent_snapshot();
	else if (t->kind == TRIGGER_TRACEON)
		__atomic_fetch_and(&ftrace_silent, ~(u32)FTRACE_SILENT_PAUSED, __ATOMIC_RELAXED);
	else
		__atomic_fetch_or(&ftrace_silent, FTRACE_SILENT_PAUSED, __ATOMIC_RELAXED);
}

void event_triggers_run(const struct agent_event *e, enum event_trigger_when when,
			const struct fetched *values, const struct fetch_site *at)
{
	struct event_trigger *t = smp_load_acquire(&e->triggers);

	for (; t; t = t->next)
		if ((t->kind == TRIGGER_TRACEON) == (when == TRIGGER_BEFORE) &&
		    (!t->filter || event_filter_match(t->filter, e->args, values, at)))
			run(t, e, at);
}

/* ---- set ---- */

void event_triggers_free(struct event_trigger *triggers)
{
	struct event_trigger *next;

	for (; triggers; triggers = next) {
		next = triggers->next;
		event_filter_free(triggers->filter);
		ft_free(triggers, sizeof(*triggers));
	}
}

static int trigger_error(int err, const char *text, u32 len, const char *at, const char *what)
{
	return event_error(err, "trigger", text, len, (u32)(at - text), what);
}

/* "traceoff:3 if FILTER" behind its !. */
static int parse(struct event_trigger *t, const struct agent_event *e, const char *text, u32 len,
		 const char *at)
{
	struct probe_error error = { NULL, 0 };
	struct parse p = { .text = text, .at = at, .end = text + len, .error = &error };
	const char *word, *end, *colon, *begin;
	u64 n;
	int err;

	if (!parse_word(&p, &word, &end))
		return trigger_error(-EINVAL, text, len, at, "A trigger is to be here: " NAMES);
	colon = parse_find(word, end, ':');
	for (t->kind = 0; t->kind < TRIGGER_KINDS; t->kind++)
		if (ft_strlen(names[t->kind]) == (size_t)((colon ? colon : end) - word) &&
		    !ft_memcmp(names[t->kind], word, ft_strlen(names[t->kind])))
			break;
	if (t->kind == TRIGGER_KINDS)
		return trigger_error(-EINVAL, text, len, word, "There is no such trigger (there are " NAMES ")");
	if (t->kind == TRIGGER_SNAPSHOT && !agent.session->overwrite)
		return trigger_error(-EOPNOTSUPP, text, len, word, "There is no flight recorder to take a snapshot of (--overwrite)");
	t->count = t->left = -1;
	if (colon) {
		if (!parse_all_number(colon + 1, end, &n) || !n || n > 1ull << 62)
			return trigger_error(-EINVAL, text, len, colon + 1, "This is no count");
		t->count = t->left = (s64)n;
	}
	if (!parse_word(&p, &word, &end))
		return 0;
	if (end - word != 2 || word[0] != 'i' || word[1] != 'f')
		return trigger_error(-EINVAL, text, len, word, "Only 'if FILTER' may follow a trigger");
	while (p.at < p.end && (*p.at == ' ' || *p.at == '\t'))
		p.at++;
	begin = p.at;
	err = event_filter_parse(&t->filter, e->args, e->nargs, begin, (u32)(p.end - begin), &error);
	if (err == -ENOMEM)
		return ft_log(err, "trigger: no memory");
	return err ? trigger_error(err, text, len, begin + error.at, error.what) : 0;
}

/* Put @t among, or take the one of its kind away from, those of @e; the old list goes when no hit sees it. */
static int exchange(struct agent_event *e, struct event_trigger *list)
{
	int err;

	smp_store_release(&e->triggers, list);
	err = event_sites_update();
	return err;
}

int event_trigger_write(struct agent_event *e, const char *text, u32 len)
{
	struct event_trigger **at, *t;
	u32 skip = 0;
	bool away;
	int err;

	while (skip < len && (text[skip] == ' ' || text[skip] == '\t'))
		skip++;
	away = skip < len && text[skip] == '!';
	t = ft_alloc(sizeof(*t));
	if (!t)
		return ft_log(-ENOMEM, "trigger: no memory");
	err = parse(t, e, text, len, text + skip + away);
	if (err)
		goto free;
	for (at = &e->triggers; *at && (*at)->kind != t->kind; at = &(*at)->next)
		;
	if (away && !*at)
		err = trigger_error(-ENOENT, text, len, text + skip + 1, "The event has no such trigger");
	else if (!away && *at)
		err = trigger_error(-EEXIST, text, len, text + skip, "The event has such a trigger already: remove it with ! first");
	if (err)
		goto free;
	if (!away) {
		if (t->kind == TRIGGER_STACKTRACE)
			ftrace_stack_trace_prepare();
		t->next = e->triggers;
		return exchange(e, t);
	}
	event_triggers_free(t);
	t = *at;
	if (at == &e->triggers) {
		err = exchange(e, t->next);
	} else {
		smp_store_release(at, t->next);
		err = exchange(e, e->triggers);
	}
	event_wait_for_hits();
	t->next = NULL;
free:
	event_triggers_free(t);
	return err;
}

bool event_trigger_is(const char *name, u32 len)
{
	for (u32 i = 0; i < TRIGGER_KINDS; i++)
		if (ft_strlen(names[i]) == len && !ft_memcmp(names[i], name, len))
			return true;
	return false;
}

static void show_one(const struct event_trigger *t, struct control_text *out)
{
	control_puts(out, names[t->kind]);
	if (t->count < 0)
		control_puts(out, ":unlimited");
	else
		control_printf(out, ":count=%lld", (long long)READ_ONCE(t->left));
	if (t->filter) {
		control_puts(out, " if ");
		control_puts(out, event_filter_text(t->filter));
	}
	control_puts(out, "\n");
}

void event_triggers_each_line(const struct agent_event *e, const char *before, struct control_text *out)
{
	for (const struct event_trigger *t = e->triggers; t; t = t->next) {
		control_puts(out, before);
		control_puts(out, ":");
		show_one(t, out);
	}
}

void event_triggers_show(const struct agent_event *e, struct control_text *out)
{
	if (!e->triggers)
		control_puts(out, "# Available triggers:\n# traceon traceoff stacktrace snapshot\n");
	for (const struct event_trigger *t = e->triggers; t; t = t->next)
		show_one(t, out);
}
