/* SPDX-License-Identifier: MIT */
/*
 * Dynamic events on the command line. They are understood here with the traced process's own parser, so
 * that what is wrong is said before anything runs.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/event-filter.h"
#include "agent/probe.h"
#include "cmd/cmd.h"
#include "cmd/record.h"

struct record_event {
	const char *def;
	char group[PROBE_NAME_MAX], name[PROBE_NAME_MAX];
	const char *triggers[8];
	size_t ntriggers;
	struct probe_def parsed;
	struct record_event *next;
};

/* The text, and a caret below what is wrong with it. */
static int bad_event(const char *option, const char *text, const struct probe_error *error)
{
	fprintf(stderr, "ftrace: %s %s\n", option, text);
	fprintf(stderr, "%*s^\n", (int)(strlen("ftrace: ") + strlen(option) + 1 + error->at), "");
	return cmd_bad_use("record", "%s: %s", option, error->what);
}

static struct record_event *last_event(const struct record_options *opt)
{
	struct record_event *e = opt->events;

	while (e && e->next)
		e = e->next;
	return e;
}

static int check_filter(struct record_event *e, const char *option, const char *text, const char *filter)
{
	struct probe_error error = { NULL, 0 };
	struct event_filter *f;
	int err = event_filter_parse(&f, e->parsed.args, e->parsed.nargs, filter, strlen(filter), &error);

	event_filter_free(f);
	if (err == -ENOMEM)
		return cmd_error("%s: no memory", text);
	error.at += filter - text;
	return err ? bad_event(option, text, &error) : 0;
}

int record_event_add(struct record_options *opt, const char *def)
{
	struct record_event *e = calloc(1, sizeof(*e)), *before = last_event(opt);
	struct probe_error error = { NULL, 0 };
	int err;

	if (!e)
		return cmd_error("%s: no memory", def);
	e->def = def;
	if (strchr(def, '\n')) {
		error = (struct probe_error){ "A line break", strchr(def, '\n') - def };
		err = -EINVAL;
	} else {
		err = probe_parse(&e->parsed, def, strlen(def), &error);
	}
	if (!err && e->parsed.kind == PROBE_DELETE) {
		error.what = "There is nothing to delete yet";
		err = -EINVAL;
	}
	if (err)
		err = bad_event("-e", def, &error);
	else if (e->parsed.filter)
		err = check_filter(e, "-e", def, e->parsed.filter);
	for (struct record_event *o = opt->events; o && !err; o = o->next)
		if (!strcmp(o->parsed.event, e->parsed.event) && !strcmp(o->parsed.group, e->parsed.group))
			err = cmd_bad_use("record", "-e %s: an event before it has the same name, %s/%s: give it another one (%c:NAME)",
					  def, o->parsed.group, o->parsed.event, *def);
	if (err) {
		free(e);
		return err;
	}
	if (before)
		before->next = e;
	else
		opt->events = e;
	return 0;
}

int record_event_trigger(struct record_options *opt, const char *text)
{
	static const char *const names[] = { "traceon", "traceoff", "stacktrace", "snapshot" };
	struct record_event *e = last_event(opt);
	size_t len = strcspn(text, ": \t"), known = 0;
	const char *p = text + len;
	char *end;

	if (!e)
		return cmd_bad_use("record", "--trigger %s: it is for the event of the -e before it, and there is none",
				   text);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		known += strlen(names[i]) == len && !strncmp(names[i], text, len);
	if (!known || strchr(text, '\n'))
		return cmd_bad_use("record", "--trigger %s: no such trigger (there are traceon, traceoff, stacktrace, snapshot)",
				   text);
	for (size_t i = 0; i < e->ntriggers; i++)
		if (!strncmp(e->triggers[i], text, len))
			return cmd_bad_use("record", "--trigger %s: the event has one already", text);
	if (*p == ':' && (p[1] < '1' || p[1] > '9' || (strtoull(p + 1, &end, 10), *end && *end != ' ')))
		return cmd_bad_use("record", "--trigger %s: no number of times behind the colon", text);
	p += strcspn(p, " \t");
	p += strspn(p, " \t");
	if (*p && strncmp(p, "if ", 3))
		return cmd_bad_use("record", "--trigger %s: only 'if FILTER' may follow", text);
	if (*p) {
		int err = check_filter(e, "--trigger", text, p + 3);

		if (err)
			return err;
	}
	if (e->ntriggers == sizeof(e->triggers) / sizeof(e->triggers[0]))
		return cmd_bad_use("record", "--trigger %s: too many", text);
	e->triggers[e->ntriggers++] = text;
	opt->snapshot_trigger |= !strncmp(text, "snapshot", 8);
	return 0;
}

void record_events_put(const struct record_options *opt, FILE *out)
{
	const struct record_event *e;

	for (e = opt->events; e; e = e->next)
		fprintf(out, "kprobe_events+=%s\n", e->def);
	for (e = opt->events; e; e = e->next)
		for (size_t i = 0; i < e->ntriggers; i++)
			fprintf(out, "events/%s/%s/trigger=%s\n", e->parsed.group, e->parsed.event,
				e->triggers[i]);
	if (opt->events)
		fprintf(out, "events/enable=1\n");
}

void record_events_free(struct record_options *opt)
{
	while (opt->events) {
		struct record_event *e = opt->events;

		opt->events = e->next;
		free(e);
	}
}
