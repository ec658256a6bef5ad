/* SPDX-License-Identifier: MIT */
/* set_ftrace_filter, set_ftrace_notrace, available_filter_functions, set_object_filter. */
#include <ftrace/ftrace.h>

#include "agent/control.h"
#include "agent/event.h"
#include "engine/find.h"
#include "tracers/tracer.h"

/* Patterns as they were written, for reading them back; they live as long as the process. */
struct patterns {
	char *text;
	size_t len;
};

static struct patterns filter, notrace, objects;

static int keep(struct patterns *p, const char *value, size_t len, enum control_mode mode)
{
	size_t before = mode == CONTROL_APPEND && p->len ? p->len + 1 : 0;
	char *text = ft_alloc(before + len + 1);

	if (!text)
		return ft_log(-ENOMEM, "filter: no memory for %lu bytes", (unsigned long)len);
	if (before) {
		ft_memcpy(text, p->text, p->len);
		text[p->len] = '\n';
	}
	ft_memcpy(text + before, value, len);
	if (p->text)
		ft_free(p->text, p->len + 1);
	p->text = text;
	p->len = before + len;
	return 0;
}

typedef int (*set_patterns_t)(struct ftrace_ops *ops, const char *buf, int len, int reset);

/* The same choice for every tracer, so that it holds whichever becomes current. */
static int set_all(set_patterns_t set, struct patterns *p, const char *value, size_t len,
		   enum control_mode mode)
{
	struct tracer *const *t;
	int err = 0;

	for (t = tracers; *t && !err; t++)
		if ((*t)->ops)
			err = set((*t)->ops, value, (int)len, mode == CONTROL_REPLACE);
	return err ? err : keep(p, value, len, mode);
}

/*
 * Words that are commands ("FUNC:traceoff") are done, the others go to @rest, which has room for all. The length of that, or
 * -errno. @found: commands.
 */
static long do_commands(const char *value, size_t len, char *rest, u32 *found)
{
	const char *at = value, *word;
	size_t word_len, n = 0;
	int err;

	while ((word_len = ft_next_word(&word, &at, value + len))) {
		if (event_is_command(word, (u32)word_len)) {
			err = event_command_write(word, (u32)word_len);
			if (err)
				return err;
			++*found;
			continue;
		}
		if (n)
			rest[n++] = '\n';
		ft_memcpy(rest + n, word, word_len);
		n += word_len;
	}
	return (long)n;
}

/* Commands alone leave the choice of functions as it is. */
static int set_ftrace_filter_write(const char *value, size_t len, enum control_mode mode)
{
	char *rest = ft_alloc(len + 1);
	u32 commands = 0;
	long n;

	if (!rest)
		return ft_log(-ENOMEM, "set_ftrace_filter: no memory");
	n = do_commands(value, len, rest, &commands);
	if (n > 0 || (!n && !commands))
		n = set_all(ftrace_set_filter, &filter, rest, (size_t)n, mode);
	ft_free(rest, len + 1);
	return (int)n;
}

static int set_ftrace_notrace_write(const char *value, size_t len, enum control_mode mode)
{
	return set_all(ftrace_set_notrace, &notrace, value, len, mode);
}

/* One pattern a line. */
static void show(struct control_text *out, const struct patterns *p)
{
	char c[2] = "", last = '\n';
	size_t i;

	for (i = 0; i < p->len; i++) {
		c[0] = p->text[i] == ' ' || p->text[i] == ',' ? '\n' : p->text[i];
		if (c[0] != '\n' || last != '\n')
			control_puts(out, c);
		last = c[0];
	}
	if (last != '\n')
		control_puts(out, "\n");
}

static int set_ftrace_filter_read(struct control_text *out)
{
	if (!filter.len)
		control_puts(out, "#### all functions enabled ####\n");
	show(out, &filter);
	event_commands_show(out);
	return 0;
}

static int set_ftrace_notrace_read(struct control_text *out)
{
	if (!notrace.len)
		control_puts(out, "#### no functions disabled ####\n");
	show(out, &notrace);
	return 0;
}

static void drop(struct patterns *p)
{
	if (p->text)
		ft_free(p->text, p->len + 1);
	*p = (struct patterns){ NULL, 0 };
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

static int set_object_filter_write(const char *value, size_t len, enum control_mode mode)
{
	return keep(&objects, value, len, mode);
}

static int set_object_filter_read(struct control_text *out)
{
	show(out, &objects);
	return 0;
}

static bool matches(const struct patterns *p, const char *name)
{
	const char *at = p->text, *word;
	size_t len;

	while ((len = ft_next_word(&word, &at, p->text + p->len)))
		if (ftrace_glob(word, len, name))
			return true;
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

/* What every program stands on: traced only when it is asked for. */
static bool is_libc(const char *base)
{
	return ft_starts_with(base, "libc.so") || ft_starts_with(base, "libc-2.");
}

/* The libraries that are there from the beginning are wanted: nobody chose, and the executable has nothing. */
static bool libraries_wanted;

void control_want_libraries(void)
{
	if (objects.len)
		return;
	libraries_wanted = true;
}

void control_objects_loaded(void)
{
	libraries_wanted = false;
}

bool control_object_wanted(const char *path, bool executable)
{
	const char *slash = ft_strrchr(path, '/'), *base = slash ? slash + 1 : path;

	if (executable)
		return true;
	if (is_untouchable(base))
		return false;
	if (libraries_wanted && !is_libc(base))
		return true;
	return matches(&objects, base) || matches(&objects, path);
}

void control_filter_reset(void)
{
	struct tracer *const *t;

	for (t = tracers; *t; t++)
		if ((*t)->ops)
			ftrace_free_filter((*t)->ops);
	drop(&filter);
	drop(&notrace);
	drop(&objects);
}

const struct control_file control_filter_files[] = {
	{ "set_ftrace_filter", 0, set_ftrace_filter_read, set_ftrace_filter_write },
	{ "set_ftrace_notrace", 0, set_ftrace_notrace_read, set_ftrace_notrace_write },
	{ "available_filter_functions", 0, available_filter_functions_read, NULL },
	{ "set_object_filter", CONTROL_EARLY, set_object_filter_read, set_object_filter_write },
	{ 0 }
};
