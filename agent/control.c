/* SPDX-License-Identifier: MIT */
/* The control tree's table and how it is looked up, written and read. */
#include "agent/control.h"
#include "agent/event.h"
#include "agent/patch.h"

static const struct control_file *const groups[] = {
	control_tracer_files,
	control_filter_files,
	control_graph_files,
	control_thread_files,
	control_event_files,
};

void control_puts(struct control_text *out, const char *s)
{
	for (; *s; s++, out->len++)
		if (out->len + 1 < out->size)
			out->buf[out->len] = *s;
	if (out->size)
		out->buf[out->len < out->size ? out->len : out->size - 1] = '\0';
}

void control_printf(struct control_text *out, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	ft_vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	control_puts(out, line);
}

bool control_is_patch(const char *name, size_t len)
{
	return len > 10 && ft_starts_with(name, "livepatch/");
}

const struct control_file *control_find(const char *name, size_t len)
{
	const struct control_file *f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(groups); i++)
		for (f = groups[i]; f->name; f++)
			if (ft_strlen(f->name) == len && !ft_strncmp(f->name, name, len))
				return f;
	return NULL;
}

int control_write(const char *name, size_t name_len, const char *value, size_t len,
		  enum control_mode mode)
{
	const struct control_file *f = control_find(name, name_len);

	if (len && value[len - 1] == '\n')
		len--;
	if (control_is_patch(name, name_len))
		return patch_file_write(name, name_len, value, len);
	if (name_len > 7 && ft_starts_with(name, "events/"))
		return control_events_write(name + 7, name_len - 7, value, len);
	if (!f)
		return ft_log(-ENOENT, "control file of %lu letters: no such file",
			      (unsigned long)name_len);
	if (!f->write)
		return ft_log(-EACCES, "%s: cannot be written", f->name);
	return f->write(value, len, mode);
}

long control_read(const char *name, char *buf, size_t size)
{
	const struct control_file *f = control_find(name, ft_strlen(name));
	struct control_text out = { .buf = buf, .size = size };
	int err;

	control_puts(&out, "");
	if (control_is_patch(name, ft_strlen(name))) {
		err = patch_file_read(name, &out);
		return err ? err : (long)out.len;
	}
	if (ft_starts_with(name, "events/")) {
		err = control_events_read(name + 7, ft_strlen(name) - 7, &out);
		return err ? err : (long)out.len;
	}
	if (!f)
		return -ENOENT;
	if (!f->read)
		return -EACCES;
	err = f->read(&out);
	return err ? err : (long)out.len;
}

int control_apply(const char *settings, size_t len, bool early)
{
	const char *end = settings + len, *line = settings, *stop, *eq, *name_end;
	enum control_mode mode;
	int err;

	for (; line < end; line = stop + 1) {
		const struct control_file *f;

		for (stop = line; stop < end && *stop != '\n'; stop++)
			;
		for (eq = line; eq < stop && *eq != '='; eq++)
			;
		if (eq == stop)
			continue;
		mode = eq > line && eq[-1] == '+' ? CONTROL_APPEND : CONTROL_REPLACE;
		name_end = mode == CONTROL_APPEND ? eq - 1 : eq;
		f = control_find(line, (size_t)(name_end - line));
		if (early != (f && f->flags & CONTROL_EARLY))
			continue;
		err = control_write(line, (size_t)(name_end - line), eq + 1,
				    (size_t)(stop - eq - 1), mode);
		/* An event that cannot be had here was logged, and keeps nothing else from being recorded. */
		if (err && !ft_starts_with(line, "events/"))
			return err;
	}
	return 0;
}

int control_reset(void)
{
	int err = control_write("current_tracer", 14, "nop", 3, CONTROL_REPLACE);

	if (err)
		return err;
	event_reset();
	control_filter_reset();
	control_write("set_ftrace_pid", 14, "", 0, CONTROL_REPLACE);
	control_write("set_event_pid", 13, "", 0, CONTROL_REPLACE);
	control_write("max_graph_depth", 15, "0", 1, CONTROL_REPLACE);
	control_write("tracing_thresh", 14, "0", 1, CONTROL_REPLACE);
	return 0;
}

int control_number(const char *value, size_t len, u64 max, u64 *number)
{
	u64 n = 0;
	size_t i;

	if (!len)
		return -EINVAL;
	for (i = 0; i < len; i++) {
		u32 digit = (u32)value[i] - '0';

		if (digit > 9)
			return -EINVAL;
		if (n > (max - digit) / 10)
			return -ERANGE;
		n = n * 10 + digit;
	}
	*number = n;
	return 0;
}
