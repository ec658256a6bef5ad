/* SPDX-License-Identifier: MIT */
/*
 * kprobe_events (dynamic_events), error_log, available_events, and events/: enable, GROUP/enable,
 * GROUP/NAME/{enable,filter,trigger,format,id}.
 */
#include "agent/agent.h"
#include "agent/control.h"
#include "agent/event-filter.h"
#include "agent/event-trigger.h"
#include "agent/event.h"

/* ---- definitions ---- */

/* Each line one; those that are empty or begin with # are none. The first error ends it. */
static int kprobe_events_write(const char *value, size_t len, enum control_mode mode)
{
	const char *end = value + len, *line = value, *stop;
	int err = 0;

	if (mode == CONTROL_REPLACE) {
		event_lock();
		err = event_clear();
		event_unlock();
	}
	for (; line < end && !err; line = stop + 1) {
		for (stop = line; stop < end && *stop != '\n'; stop++)
			;
		while (line < stop && (*line == ' ' || *line == '\t'))
			line++;
		if (line < stop && *line != '#')
			err = event_define(line, (u32)(stop - line));
	}
	return err;
}

/* With the names that they got. */
static int kprobe_events_read(struct control_text *out)
{
	const struct agent_event *e;

	event_lock();
	for (e = event_list(); e; e = e->next) {
		const char *place = e->text;
		char kind[] = { (char)(e->kind == PROBE_F_RETURN ? 'f' : e->kind), '\0' };

		if (e->is_command)
			continue;
		while (*place && *place != ' ' && *place != '\t')
			place++;
		control_puts(out, kind);
		control_puts(out, ":");
		control_puts(out, e->group);
		control_puts(out, "/");
		control_puts(out, e->name);
		control_puts(out, place);
		control_puts(out, "\n");
	}
	event_unlock();
	return 0;
}

static int error_log_write(const char *value, size_t len, enum control_mode mode)
{
	event_error_log_clear();
	return 0;
}

static int error_log_read(struct control_text *out)
{
	event_error_log_show(out);
	return 0;
}

static int available_events_read(struct control_text *out)
{
	const struct agent_event *e;

	event_lock();
	for (e = event_list(); e; e = e->next) {
		if (e->is_command)
			continue;
		control_puts(out, e->group);
		control_puts(out, ":");
		control_puts(out, e->name);
		control_puts(out, "\n");
	}
	event_unlock();
	return 0;
}

const struct control_file control_event_files[] = {
	{ "kprobe_events", 0, kprobe_events_read, kprobe_events_write },
	{ "dynamic_events", 0, kprobe_events_read, kprobe_events_write },
	{ "error_log", 0, error_log_read, error_log_write },
	{ "available_events", 0, available_events_read, NULL },
	{ 0 }
};

/* ---- events/ ---- */

/* "GROUP/NAME/FILE", "GROUP/FILE", "FILE". */
struct path {
	const char *group, *name, *file;
	size_t group_len, name_len, file_len;
};

static bool split(const char *s, size_t len, struct path *path)
{
	const char *part[3];
	size_t part_len[3], n = 0, begin = 0, i;

	for (i = 0; i <= len; i++) {
		if (i < len && s[i] != '/')
			continue;
		if (n == 3 || i == begin)
			return false;
		part[n] = s + begin;
		part_len[n++] = i - begin;
		begin = i + 1;
	}
	ft_memset(path, 0, sizeof(*path));
	path->file = part[n - 1];
	path->file_len = part_len[n - 1];
	if (n > 1) {
		path->group = part[0];
		path->group_len = part_len[0];
	}
	if (n > 2) {
		path->name = part[1];
		path->name_len = part_len[1];
	}
	return true;
}

static bool is(const char *s, size_t len, const char *word)
{
	return len == ft_strlen(word) && !ft_memcmp(s, word, len);
}

/* Is @e one that the path is about? */
static bool covers(const struct path *path, const struct agent_event *e)
{
	return !e->is_command && (!path->group || is(path->group, path->group_len, e->group)) &&
	       (!path->name || is(path->name, path->name_len, e->name));
}

static int enable_write(const struct path *path, const char *value, size_t len)
{
	struct agent_event *e;

	if (len != 1 || (*value != '0' && *value != '1'))
		return ft_log(-EINVAL, "enable: neither 0 nor 1");
	for (e = event_list(); e; e = e->next)
		if (covers(path, e))
			WRITE_ONCE(e->enabled, *value == '1');
	return event_sites_update();
}

static int event_write(const struct path *path, const char *value, size_t len)
{
	struct agent_event *e = event_list();

	while (e && !covers(path, e))
		e = e->next;
	if (!e && (path->group || !is(path->file, path->file_len, "enable")))
		return ft_log(-ENOENT, "events: no such event, or no such file of it");
	if (is(path->file, path->file_len, "enable"))
		return enable_write(path, value, len);
	if (path->name && is(path->file, path->file_len, "filter"))
		return event_filter_set(e, value, (u32)len);
	if (path->name && is(path->file, path->file_len, "trigger"))
		return event_trigger_write(e, value, (u32)len);
	return ft_log(-ENOENT, "events: no such file, or one that cannot be written");
}

int control_events_write(const char *name, size_t name_len, const char *value, size_t len)
{
	struct path path;
	int err;

	if (!split(name, name_len, &path))
		return ft_log(-ENOENT, "events: no such file");
	event_lock();
	err = event_write(&path, value, len);
	event_unlock();
	return err;
}

/* 0 or 1 where all events agree, X where they do not. */
static void enable_read(const struct path *path, struct control_text *out)
{
	const struct agent_event *e;
	bool on = false, off = false;

	for (e = event_list(); e; e = e->next) {
		on |= covers(path, e) && e->enabled;
		off |= covers(path, e) && !e->enabled;
	}
	control_puts(out, on && off ? "X\n" : on ? "1\n" : "0\n");
}

/* The layout in a recording, in the words of tracefs. */
static void format_read(const struct agent_event *e, struct control_text *out)
{
	control_printf(out, "name: %s\nID: %u\nformat:\n", e->name, e->id);
	control_puts(out, "\tfield:u32 __probe_func;\n\tfield:u32 __probe_faults;\n");
	control_puts(out, event_is_return(e) ? "\tfield:u64 __probe_ret_ip;\n" :
					       "\tfield:u64 __probe_ip;\n");
	for (u32 i = 0; i < e->nargs; i++) {
		control_printf(out, "\tfield:%s %s", fetch_type_name(&e->args[i]), e->args[i].name);
		if (e->args[i].count)
			control_printf(out, "[%u]", e->args[i].count);
		control_puts(out, ";\n");
	}
}

static int event_read(const struct path *path, struct control_text *out)
{
	struct agent_event *e = event_list();

	while (e && !covers(path, e))
		e = e->next;
	if (!e && path->group)
		return -ENOENT;
	if (is(path->file, path->file_len, "enable")) {
		enable_read(path, out);
		return 0;
	}
	if (!path->name || !e)
		return -ENOENT;
	if (is(path->file, path->file_len, "filter")) {
		control_puts(out, e->filter ? event_filter_text(e->filter) : "none");
		control_puts(out, "\n");
	} else if (is(path->file, path->file_len, "trigger")) {
		event_triggers_show(e, out);
	} else if (is(path->file, path->file_len, "format")) {
		format_read(e, out);
	} else if (is(path->file, path->file_len, "id")) {
		control_printf(out, "%u\n", e->id);
	} else {
		return -ENOENT;
	}
	return 0;
}

int control_events_read(const char *name, size_t name_len, struct control_text *out)
{
	struct path path;
	int err;

	if (!split(name, name_len, &path))
		return -ENOENT;
	event_lock();
	err = event_read(&path, out);
	event_unlock();
	return err;
}
