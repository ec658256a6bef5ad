/* SPDX-License-Identifier: MIT */
/* set_ftrace_pid, set_event_pid: the threads that are traced. */
#include "agent/control.h"
#include "engine/thread.h"

#define TID_MAX	(1u << 22)	/* the kernel's PID_MAX_LIMIT */

static int add(s32 tids[FTRACE_MAX_CHOSEN], u32 *n, const char *word, size_t len, const char *file)
{
	u64 tid;

	if (control_number(word, len, TID_MAX, &tid) || !tid)
		return ft_log(-EINVAL, "%s: not the number of a thread, or several", file);
	for (u32 i = 0; i < *n; i++)
		if (tids[i] == (s32)tid)
			return 0;
	if (*n == FTRACE_MAX_CHOSEN)
		return ft_log(-ENOSPC, "%s: more than %u threads", file, FTRACE_MAX_CHOSEN);
	tids[(*n)++] = (s32)tid;
	return 0;
}

/* Threads that were chosen and have not ended; of several that have, one, so that the list stays a choice. */
static u32 chosen_before(enum ftrace_choice choice, s32 tids[FTRACE_MAX_CHOSEN])
{
	u32 n = ftrace_chosen_threads(choice, tids), kept = 0;

	for (u32 i = 0; i < n; i++)
		if (tids[i] > 0)
			tids[kept++] = tids[i];
	return kept || !n ? kept : 1;
}

/* An empty value chooses all. */
static int choose(enum ftrace_choice choice, const char *file, const char *value, size_t len,
		  enum control_mode mode)
{
	s32 tids[FTRACE_MAX_CHOSEN];
	u32 n = mode == CONTROL_APPEND ? chosen_before(choice, tids) : 0;
	const char *at = value, *word;
	size_t word_len;
	int err = 0;

	while (!err && (word_len = ft_next_word(&word, &at, value + len)))
		err = add(tids, &n, word, word_len, file);
	return err ? err : ftrace_choose_threads(choice, tids, n);
}

static int show(enum ftrace_choice choice, struct control_text *out)
{
	s32 tids[FTRACE_MAX_CHOSEN];
	u32 n = ftrace_chosen_threads(choice, tids);

	if (!n)
		control_puts(out, "no pid\n");
	for (u32 i = 0; i < n; i++)
		if (tids[i] > 0)		/* else it has ended */
			control_printf(out, "%d\n", tids[i]);
	return 0;
}

static int set_ftrace_pid_write(const char *value, size_t len, enum control_mode mode)
{
	return choose(FTRACE_CHOICE_TRACERS, "set_ftrace_pid", value, len, mode);
}

static int set_ftrace_pid_read(struct control_text *out)
{
	return show(FTRACE_CHOICE_TRACERS, out);
}

static int set_event_pid_write(const char *value, size_t len, enum control_mode mode)
{
	return choose(FTRACE_CHOICE_EVENTS, "set_event_pid", value, len, mode);
}

static int set_event_pid_read(struct control_text *out)
{
	return show(FTRACE_CHOICE_EVENTS, out);
}

const struct control_file control_thread_files[] = {
	{ "set_ftrace_pid", 0, set_ftrace_pid_read, set_ftrace_pid_write },
	{ "set_event_pid", 0, set_event_pid_read, set_event_pid_write },
	{ 0 }
};
