/* SPDX-License-Identifier: MIT */
/* The options all reading subcommands share. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/options.h"

enum {
	KEY_NO_DEMANGLE = 0x2000, KEY_COLOR, KEY_NO_PAGER, KEY_TID, KEY_PID, KEY_RANGE,
};

const struct cmd_option cmd_read_options[] = {
	{ "input", 'i', "DIR", "the recording (default: ./ftrace.data)" },
	{ "no-demangle", KEY_NO_DEMANGLE, NULL, "show C++ and Rust names as the symbol table has them" },
	{ "color", KEY_COLOR, "WHEN", "auto (on a terminal, unless NO_COLOR is set), always, never" },
	{ "no-pager", KEY_NO_PAGER, NULL, "do not show the output in $PAGER on a terminal" },
	{ NULL, 0, NULL, NULL },
};

const struct cmd_option cmd_select_options[] = {
	{ "filter", 'F', "FUNC", "only functions that match: a glob, or a /regular expression/;\n"
	  "several -F add up; '!FUNC' is -N FUNC" },
	{ "notrace", 'N', "FUNC", "leave out functions that match; their time counts as their\ncaller's" },
	{ "graph-function", 'G', "FUNC", "only what happens inside functions that match" },
	{ "depth", 'D', "N", "only calls with fewer than N callers shown" },
	{ "threshold", 't', "TIME", "only calls that took at least TIME: 500ns, 10us, 1.5ms, 2s" },
	{ "time-range", KEY_RANGE, "A~B", "only between A and B, either may be missing: with a unit,\n"
	  "time since the recording began (2ms~1s); without one, seconds\nas --abs-time shows them" },
	{ "tid", KEY_TID, "TID,...", "only these threads" },
	{ "pid", KEY_PID, "PID,...", "only these processes" },
	{ NULL, 0, NULL, NULL },
};

void cmd_read_init(struct cmd_read *read)
{
	memset(read, 0, sizeof(*read));
	read->dir = "ftrace.data";
	read->select.to = UINT64_MAX;
	read->color = -1;
	read->pager = 1;
}

static void __attribute__((noreturn)) bad(struct cmd_getopt *g, const char *why)
{
	exit(cmd_bad_use(g->usage->name, "%s: %s", g->arg, why));
}

static void add_filter(struct cmd_read *read, struct cmd_getopt *g, enum trace_filter_kind kind)
{
	char why[256] = "no memory";

	if (trace_filter_add(&read->filter, kind, g->arg, why, sizeof(why)))
		exit(cmd_bad_use(g->usage->name, "%s: not a pattern: %s", g->arg, why));
}

int cmd_read_option(struct cmd_read *read, struct cmd_getopt *g, int key)
{
	uint64_t number;

	switch (key) {
	case 'i':
		read->dir = g->arg;
		return 1;
	case KEY_NO_DEMANGLE:
		read->raw_names = 1;
		return 1;
	case KEY_COLOR:
		if (!strcmp(g->arg, "auto"))
			read->color = -1;
		else if (!strcmp(g->arg, "always"))
			read->color = 1;
		else if (!strcmp(g->arg, "never"))
			read->color = 0;
		else
			bad(g, "colours are used auto, always or never");
		return 1;
	case KEY_NO_PAGER:
		read->pager = 0;
		return 1;
	case 'F':
		add_filter(read, g, TRACE_FILTER_ONLY);
		return 1;
	case 'N':
		add_filter(read, g, TRACE_FILTER_NOT);
		return 1;
	case 'G':
		add_filter(read, g, TRACE_FILTER_GRAPH);
		return 1;
	case 'D':
		if (cmd_parse_number(g->arg, &number) || !number || number >= 1u << 24)
			bad(g, "a depth is a number from 1 on");
		read->filter.depth = number;
		return 1;
	case 't':
		if (cmd_parse_duration(g->arg, &read->threshold_ns))
			bad(g, "a duration is a number with ns, us, ms or s");
		return 1;
	case KEY_RANGE:
		if (cmd_parse_range(g->arg, &read->range))
			bad(g, "a range of time is A~B, for instance 2ms~1.5s");
		return 1;
	case KEY_TID:
		if (cmd_parse_list(g->arg, &read->tids, &read->select.ntids))
			bad(g, "threads are given as numbers with commas between them");
		read->select.tids = read->tids;
		return 1;
	case KEY_PID:
		if (cmd_parse_list(g->arg, &read->pids, &read->select.npids))
			bad(g, "processes are given as numbers with commas between them");
		read->select.pids = read->pids;
		return 1;
	}
	return 0;
}

/* The tick at one end of the range. */
static uint64_t end_ticks(const struct trace_clock *clock, uint64_t ns, int absolute, uint64_t round)
{
	uint64_t ticks;

	if (absolute)
		ns = ns > clock->mono_ns ? ns - clock->mono_ns : 0;
	ticks = trace_ticks(clock, ns + round);
	return ticks > UINT64_MAX - clock->ticks ? UINT64_MAX : clock->ticks + ticks;
}

static int any_process(const struct trace_recording *recording, const struct trace_select *select)
{
	for (size_t i = 0; i < recording->nprocesses; i++)
		if (trace_select_process(select, &recording->processes[i]))
			return 1;
	return 0;
}

int cmd_read_open(struct cmd_read *read, struct trace_recording *recording)
{
	const struct trace_clock *clock = &recording->clock;

	if (trace_open(recording, read->dir))
		return -1;
	if (read->select.npids && !any_process(recording, &read->select)) {
		cmd_error("%s: none of these processes was recorded; 'ftrace info' lists those that were",
			  read->dir);
		trace_close(recording);
		return -1;
	}
	read->filter.threshold = trace_ticks(clock, read->threshold_ns);
	if (read->range.given[0])
		read->select.from = end_ticks(clock, read->range.ns[0], read->range.absolute[0], 0);
	/* A record is shown with the nanosecond it is in: all of B's belong to the range. */
	if (read->range.given[1])
		read->select.to = end_ticks(clock, read->range.ns[1], read->range.absolute[1], 1) - 1;
	return 0;
}

void cmd_read_free(struct cmd_read *read)
{
	trace_filter_free(&read->filter);
	free(read->tids);
	free(read->pids);
}
