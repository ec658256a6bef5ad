/* SPDX-License-Identifier: MIT */
/* The file "arguments" of a recording: what is in it. How values are shown is in arguments-text.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reader/arguments-internal.h"
#include "reader/message.h"

#define MAX_LINES	1000000u

static int compare_calls(const void *a, const void *b)
{
	const struct arguments_call *x = a, *y = b;

	return strcmp(x->event, y->event);
}

/* The next word of *@s, which is cut off; NULL: none is left. */
static char *take_word(char **s)
{
	char *word = *s;

	if (!word || !*word)
		return NULL;
	*s = strchr(word, ' ');
	if (*s)
		*(*s)++ = 0;
	return word;
}

static int grow(void *list, size_t *capacity, size_t n, size_t size)
{
	void **p = list, *larger;
	size_t more = *capacity ? *capacity * 2 : 64;

	if (n < *capacity)
		return 0;
	larger = reallocarray(*p, more, size);
	if (!larger)
		return -ENOMEM;
	*p = larger;
	*capacity = more;
	return 0;
}

static int add_call(struct trace_arguments *args, char *rest)
{
	char *event = take_word(&rest), *symbol = take_word(&rest);

	if (!event || !symbol)
		return -EINVAL;
	if (grow(&args->calls, &args->calls_capacity, args->ncalls, sizeof(*args->calls)))
		return -ENOMEM;
	args->calls[args->ncalls++] = (struct arguments_call){ event, symbol, rest ? rest : "" };
	return 0;
}

/* "NAME:MASK:VALUE" */
static int add_enumerator(struct arguments_enum *e, size_t *capacity, char *word)
{
	char *mask = strchr(word, ':'), *value = mask ? strchr(mask + 1, ':') : NULL, *end;
	struct proto_name *name;

	/* C++ has colons in names, numbers have none. */
	while (value && strchr(value + 1, ':')) {
		mask = value;
		value = strchr(value + 1, ':');
	}
	if (!value)
		return -EINVAL;
	if (grow(&e->names, capacity, e->n, sizeof(*e->names)))
		return -ENOMEM;
	name = &e->names[e->n];
	*mask = 0;
	name->name = word;
	name->mask = strtoull(mask + 1, &end, 16);
	if (*end != ':')
		return -EINVAL;
	name->value = strtoull(value + 1, &end, 16);
	if (*end)
		return -EINVAL;
	e->n++;
	return 0;
}

static int add_enum(struct trace_arguments *args, char *rest)
{
	char *number = take_word(&rest), *word, *end;
	struct arguments_enum e = { 0 };
	size_t capacity = 0;
	int err = 0;

	if (!number)
		return -EINVAL;
	e.number = strtoul(number, &end, 10);
	if (*end)
		return -EINVAL;
	while (!err && (word = take_word(&rest)))
		err = add_enumerator(&e, &capacity, word);
	if (!err)
		err = grow(&args->enums, &args->enums_capacity, args->nenums, sizeof(*args->enums));
	if (err)
		free(e.names);
	else
		args->enums[args->nenums++] = e;
	return err;
}

static int add_line(struct trace_arguments *args, char *line)
{
	char *rest = line, *word = take_word(&rest);

	if (!word || *word == '#')
		return 0;
	if (!strcmp(word, "call") || !strcmp(word, "return"))
		return add_call(args, rest);
	return strcmp(word, "enum") ? -EINVAL : add_enum(args, rest);
}

/* The whole file as a string, NULL. */
static char *read_file(int dirfd)
{
	int fd = openat(dirfd, TRACE_ARGUMENTS_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char *text = NULL;
	size_t size = 0;

	if (!file) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	/* Up to a NUL: all of it. */
	if (getdelim(&text, &size, 0, file) < 0) {
		free(text);
		text = NULL;
	}
	fclose(file);
	return text;
}

struct trace_arguments *trace_arguments_open(const struct trace_recording *recording)
{
	char *text = read_file(recording->dirfd), *line, *next;
	struct trace_arguments *args;
	size_t n = 0;

	if (!text)
		return NULL;
	args = calloc(1, sizeof(*args));
	if (!args || strncmp(text, TRACE_ARGUMENTS_HEAD, strlen(TRACE_ARGUMENTS_HEAD))) {
		trace_warn("%s/" TRACE_ARGUMENTS_FILE ": not of a version that is known here; arguments are not shown",
			   recording->path);
		free(args);
		free(text);
		return NULL;
	}
	args->text = text;
	for (line = text; line && *line && n++ < MAX_LINES; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		if (add_line(args, line))
			trace_warn("%s/" TRACE_ARGUMENTS_FILE ": line %zu is damaged and left out",
				   recording->path, n);
	}
	if (args->ncalls)
		qsort(args->calls, args->ncalls, sizeof(*args->calls), compare_calls);
	return args;
}

void trace_arguments_close(struct trace_arguments *args)
{
	if (!args)
		return;
	for (size_t i = 0; i < args->nenums; i++)
		free(args->enums[i].names);
	free(args->enums);
	free(args->calls);
	free(args->text);
	free(args);
}

const struct arguments_call *arguments_call(const struct trace_arguments *args, const struct trace_event *event)
{
	struct arguments_call key;

	if (!args || !args->ncalls || !event->class || event->state != TRACE_EVENT_WHOLE ||
	    strcmp(event->class->group, FTRACE_EVENT_ARGS_GROUP))
		return NULL;
	key.event = event->class->name;
	return bsearch(&key, args->calls, args->ncalls, sizeof(key), compare_calls);
}

const struct arguments_enum *arguments_enum(const struct trace_arguments *args, unsigned long number)
{
	for (size_t i = 0; i < args->nenums; i++)
		if (args->enums[i].number == number)
			return &args->enums[i];
	return NULL;
}

int trace_arguments_has(const struct trace_arguments *args, const struct trace_event *event)
{
	return arguments_call(args, event) != NULL;
}
