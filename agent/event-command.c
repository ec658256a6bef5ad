/* SPDX-License-Identifier: MIT */
/*
 * Commands in set_ftrace_filter (the kernel's ftrace.rst, "Filter commands"): [!]FUNC:COMMAND[:COUNT], a command being one of the
 * triggers of events. FUNC, a glob too, gets an event of its own that is never recorded and shown nowhere but there.
 */
#include "agent/control.h"
#include "agent/event-trigger.h"
#include "agent/event.h"

/* One, in parts: "!", FUNC, "COMMAND[:COUNT]". */
struct command {
	bool away;
	const char *func, *trigger;
	u32 func_len, trigger_len;
};

static bool is_number(const char *s, u32 len)
{
	u64 n;

	return !control_number(s, len, ~0ull >> 1, &n);
}

/* The last colon before @len, @len: none. */
static u32 last_colon(const char *s, u32 len)
{
	u32 at = len;

	while (at && s[at - 1] != ':')
		at--;
	return at ? at - 1 : len;
}

static bool split(const char *word, u32 len, struct command *c)
{
	u32 colon = last_colon(word, len), name_end = len;

	c->away = len && *word == '!';
	/* A regular expression may have anything in it. */
	if (colon == len || (len > 2 && word[c->away] == '/' && word[len - 1] == '/'))
		return false;
	if (is_number(word + colon + 1, len - colon - 1)) {
		name_end = colon;
		colon = last_colon(word, name_end);
		if (colon == name_end)
			return false;
	}
	c->func = word + c->away;
	c->func_len = colon > c->away ? colon - c->away : 0;
	c->trigger = word + colon + 1;
	c->trigger_len = len - colon - 1;
	/* C++: "ns::name" is a name. */
	return event_trigger_is(c->trigger, name_end - colon - 1) ||
	       !(colon && word[colon - 1] == ':');
}

bool event_is_command(const char *word, u32 len)
{
	struct command c;

	return split(word, len, &c);
}

/* "f FUNC" */
static struct agent_event *find(const struct command *c)
{
	struct agent_event *e = event_list();

	while (e && !(e->is_command && e->text_len == c->func_len + 2 && !ft_memcmp(e->text + 2, c->func, c->func_len)))
		e = e->next;
	return e;
}

static int make(const struct command *c, struct agent_event **e)
{
	char *text = ft_alloc(c->func_len + 2);
	int err;

	if (!text)
		return ft_log(-ENOMEM, "set_ftrace_filter: no memory");
	ft_memcpy(text, "f ", 2);
	ft_memcpy(text + 2, c->func, c->func_len);
	err = event_define_command(text, c->func_len + 2, e);
	ft_free(text, c->func_len + 2);
	return err;
}

/* As the trigger's file of an event takes it. */
static int write_trigger(struct agent_event *e, const struct command *c)
{
	char text[64];
	u32 len = c->trigger_len, colon = last_colon(c->trigger, len);

	/* Away with it, however often it was to be: "!FUNC:traceoff:0". */
	if (c->away)
		len = colon;
	if (len + 1 > sizeof(text))
		return ft_log(-EINVAL, "set_ftrace_filter: a number too long");
	*text = '!';
	ft_memcpy(text + c->away, c->trigger, len);
	return event_trigger_write(e, text, len + c->away);
}

int event_command_write(const char *word, u32 len)
{
	struct agent_event *e;
	struct command c;
	int err = 0;

	if (!split(word, len, &c) || !c.func_len)
		return ft_log(-EINVAL, "set_ftrace_filter: a command without a function");
	event_lock();
	e = find(&c);
	if (!e && c.away)
		err = ft_log(-ENOENT, "set_ftrace_filter: no such command is set");
	else if (!e)
		err = make(&c, &e);
	if (!err)
		err = write_trigger(e, &c);
	if (e && !e->triggers)
		event_drop_command(e);
	event_unlock();
	return err;
}

void event_commands_show(struct control_text *out)
{
	const struct agent_event *e;
	char func[PROBE_NAME_MAX + 1];

	event_lock();
	for (e = event_list(); e; e = e->next) {
		if (!e->is_command)
			continue;
		ft_snprintf(func, sizeof(func), "%s", e->text + 2);
		event_triggers_each_line(e, func, out);
	}
	event_unlock();
}
