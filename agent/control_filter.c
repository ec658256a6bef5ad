/* SPDX-License-Identifier: MIT */
/* set_ftrace_filter, set_ftrace_notrace, available_filter_functions, set_object_filter. */
#include <ftrace/ftrace.h>

#include "agent/control.h"
#include "engine/find.h"
#include "tracers/tracer.h"

/* Patterns as they were written: the last write counts. They live as long as the process. */
struct patterns {
	const char *text;
	size_t len;
	bool waits;	/* none has matched a function yet */
};

static struct patterns filter, notrace, objects;

static int keep(struct patterns *p, const char *value, size_t len)
{
	char *copy = NULL;

	if (len) {
		copy = ft_alloc(len);
		if (!copy)
			return ft_log(-ENOMEM, "filter: no memory for %lu bytes", (unsigned long)len);
		ft_memcpy(copy, value, len);
	}
	if (p->text)
		ft_free((void *)p->text, p->len);
	p->text = copy;
	p->len = len;
	return 0;
}

typedef int (*set_patterns_t)(struct ftrace_ops *ops, const char *buf, int len, int reset);

/* The same choice for every tracer, so that it holds whichever becomes current. */
static int set_all(set_patterns_t set, const struct patterns *p)
{
	struct tracer *const *t;
	int err = 0;

	for (t = tracers; *t && !err; t++)
		if ((*t)->ops)
			err = set((*t)->ops, p->text, (int)p->len, 1);
	return err;
}

/*
 * A pattern that matches nothing is no mistake here: the setting is for every process of a recording,
 * and an object loaded later may have the function. So nothing is said of it.
 */
static int set_or_wait(set_patterns_t set, struct patterns *p)
{
	ftrace_log_func_t log = ftrace_set_log(NULL);
	int err = set_all(set, p);

	ftrace_set_log(log);
	p->waits = err == -EINVAL && p->len;
	return p->waits ? 0 : err;
}

static int set_ftrace_filter_write(const char *value, size_t len)
{
	int err = keep(&filter, value, len);

	return err ? err : set_or_wait(ftrace_set_filter, &filter);
}

static int set_ftrace_notrace_write(const char *value, size_t len)
{
	int err = keep(&notrace, value, len);

	return err ? err : set_or_wait(ftrace_set_notrace, &notrace);
}

bool control_filter_ready(void)
{
	if (notrace.waits)
		set_or_wait(ftrace_set_notrace, &notrace);
	if (filter.waits)
		set_or_wait(ftrace_set_filter, &filter);
	return !filter.waits;
}

/* One pattern a line. */
static void show(struct control_text *out, const struct patterns *p)
{
	char c[2] = "";
	size_t i;

	for (i = 0; i < p->len; i++) {
		c[0] = p->text[i] == ' ' || p->text[i] == ',' ? '\n' : p->text[i];
		control_puts(out, c);
	}
	if (p->len)
		control_puts(out, "\n");
}

static int set_ftrace_filter_read(struct control_text *out)
{
	if (!filter.len)
		control_puts(out, "#### all functions enabled ####\n");
	show(out, &filter);
	return 0;
}

static int set_ftrace_notrace_read(struct control_text *out)
{
	if (!notrace.len)
		control_puts(out, "#### no functions disabled ####\n");
	show(out, &notrace);
	return 0;
}

static int show_function(unsigned long ip, unsigned long entry, const char *name, void *data)
{
	control_puts(data, name);
	control_puts(data, "\n");
	return 0;
}

static int available_filter_functions_read(struct control_text *out)
{
	return ftrace_for_each_function(show_function, out);
}

/* ---- objects ---- */

static int set_object_filter_write(const char *value, size_t len)
{
	return keep(&objects, value, len);
}

static int set_object_filter_read(struct control_text *out)
{
	show(out, &objects);
	return 0;
}

static bool is_separator(char c)
{
	return c == ' ' || c == ',' || c == '\n';
}

static bool matches(const struct patterns *p, const char *name)
{
	size_t i = 0, start;

	while (i < p->len) {
		while (i < p->len && is_separator(p->text[i]))
			i++;
		for (start = i; i < p->len && !is_separator(p->text[i]); i++)
			;
		if (i > start && ftrace_glob(p->text + start, i - start, name))
			return true;
	}
	return false;
}

/* What the tracer itself stands on. */
static bool is_untouchable(const char *base)
{
	static const char *const prefixes[] = {
		"libftrace", "ld-linux", "ld.so", "ld64.so", "ld-musl", "linux-vdso", "linux-gate", "[",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (ft_starts_with(base, prefixes[i]))
			return true;
	return ft_starts_with(base, "ld-2.");
}

bool control_object_wanted(const char *path, bool executable)
{
	const char *slash = ft_strrchr(path, '/'), *base = slash ? slash + 1 : path;

	if (executable)
		return true;
	if (is_untouchable(base))
		return false;
	return matches(&objects, base) || matches(&objects, path);
}

const struct control_file control_filter_files[] = {
	{ "set_ftrace_filter", 0, set_ftrace_filter_read, set_ftrace_filter_write },
	{ "set_ftrace_notrace", 0, set_ftrace_notrace_read, set_ftrace_notrace_write },
	{ "available_filter_functions", 0, available_filter_functions_read, NULL },
	{ "set_object_filter", CONTROL_EARLY, set_object_filter_read, set_object_filter_write },
	{ 0 }
};
