/* SPDX-License-Identifier: MIT */
/* ftrace report: calls and times of each function. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/color.h"
#include "cmd/format.h"
#include "cmd/options.h"
#include "cmd/pager.h"
#include "cmd/report-events.h"
#include "cmd/report-stack.h"
#include "reader/events.h"
#include "reader/message.h"
#include "reader/profile.h"
#include "reader/results.h"
#include "reader/stats.h"

enum { KEY_JSON = 256, KEY_CSV, KEY_STACK, KEY_EVENTS };

static const struct cmd_option options[] = {
	{ "sort", 's', "KEY", "calls, total, self, min, avg, max, p50, p90, p99 or name;\n"
	  "default: self" },
	{ "limit", 'n', "N", "only the first N functions" },
	{ "json", KEY_JSON, NULL, "a JSON object; times in nanoseconds" },
	{ "csv", KEY_CSV, NULL, "comma-separated values; times in nanoseconds" },
	{ "stack", KEY_STACK, NULL, "the deepest stack of each process, where --tracer stack\n"
	  "recorded it (the default for such a recording)" },
	{ "events", KEY_EVENTS, NULL, "how often each event (record -e) happened, and the values of its\n"
	  "integer fields" },
	{ NULL, 0, NULL, NULL },
};

static const struct cmd_usage usage = {
	.name = "report",
	.synopsis = "[OPTION...]",
	.about = "Counts the calls of each function, and the time spent in it.",
	.tables = { options, cmd_read_options, cmd_select_options },
	.notes = "total  time from entry to return; of a recursion, only of the outermost call\n"
		 "self   the same, less the time spent in the functions it called\n"
		 "avg, min, max, p50, p90, p99  of one call; percentiles are good to 1 %\n"
		 "Calls whose return was not seen (still open at the end, records lost) are counted, but\n"
		 "have no time. A recording made with --profile has no percentiles.",
};

/* A function and its values in nanoseconds. */
struct row {
	const struct trace_function *f;
	uint64_t total, self, min, avg, max, p50, p90, p99;
};

static const struct column {
	const char *name;
	size_t offset;		/* in struct row; of calls and name there is none */
} columns[] = {
	{ "calls", 0 }, { "total", offsetof(struct row, total) },
	{ "self", offsetof(struct row, self) }, { "min", offsetof(struct row, min) },
	{ "avg", offsetof(struct row, avg) }, { "max", offsetof(struct row, max) },
	{ "p50", offsetof(struct row, p50) }, { "p90", offsetof(struct row, p90) },
	{ "p99", offsetof(struct row, p99) }, { "name", 0 },
};

#define NCOLUMNS (sizeof(columns) / sizeof(columns[0]))

static const struct column *sort_by = &columns[2];

static uint64_t value_of(const struct row *row, const struct column *column)
{
	if (!column->offset)
		return row->f->calls;
	return *(const uint64_t *)((const char *)row + column->offset);
}

static int compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	uint64_t vx = value_of(x, sort_by), vy = value_of(y, sort_by);
	int order;

	if (sort_by != &columns[NCOLUMNS - 1] && vx != vy)
		return vx < vy ? 1 : -1;
	if (sort_by != &columns[NCOLUMNS - 1] && x->f->calls != y->f->calls)
		return x->f->calls < y->f->calls ? 1 : -1;
	order = strcmp(x->f->name, y->f->name);
	if (!order)
		order = strcmp(x->f->object, y->f->object);
	return order ? order : x->f->vaddr < y->f->vaddr ? -1 : x->f->vaddr > y->f->vaddr;
}

static struct row *make_rows(const struct trace_stats *stats, const struct trace_clock *clock)
{
	struct row *rows = calloc(stats->nfunctions + 1, sizeof(*rows));

	for (size_t i = 0; rows && i < stats->nfunctions; i++) {
		const struct trace_function *f = &stats->functions[i];
		struct row *row = &rows[i];

		row->f = f;
		row->total = trace_ns(clock, f->total);
		row->self = trace_ns(clock, f->self);
		if (!f->timed)
			continue;
		row->avg = trace_ns(clock, f->sum) / f->timed;
		row->min = trace_ns(clock, f->min);
		row->max = trace_ns(clock, f->max);
		row->p50 = trace_ns(clock, trace_histogram_percentile(&f->histogram, 50, f->min,
								      f->max));
		row->p90 = trace_ns(clock, trace_histogram_percentile(&f->histogram, 90, f->min,
								      f->max));
		row->p99 = trace_ns(clock, trace_histogram_percentile(&f->histogram, 99, f->min,
								      f->max));
	}
	if (rows && stats->nfunctions)
		qsort(rows, stats->nfunctions, sizeof(*rows), compare);
	return rows;
}

static void print_duration(uint64_t ns, int known)
{
	char text[32];

	printf(" %10s", known ? format_duration(ns, text) : "-");
}

static void print_table(const struct row *rows, size_t n, const struct trace_stats *stats)
{
	printf("%s#   CALLS      TOTAL       SELF        MIN        AVG        MAX        P50        P90        P99  FUNCTION%s\n",
	       cmd_color(COLOR_DIM), cmd_color(COLOR_NONE));
	for (size_t i = 0; i < n; i++) {
		const struct row *row = &rows[i];
		int timed = row->f->timed != 0;

		printf("%9llu", (unsigned long long)row->f->calls);
		print_duration(row->total, timed);
		print_duration(row->self, timed);
		print_duration(row->min, timed);
		print_duration(row->avg, timed);
		print_duration(row->max, timed);
		print_duration(row->p50, timed && !stats->profile);
		print_duration(row->p90, timed && !stats->profile);
		print_duration(row->p99, timed && !stats->profile);
		printf("  %s%s%s\n", cmd_color(COLOR_NAME), row->f->name, cmd_color(COLOR_NONE));
	}
	if (n < stats->nfunctions)
		printf("%s# %zu more functions%s\n", cmd_color(COLOR_DIM), stats->nfunctions - n,
		       cmd_color(COLOR_NONE));
	if (stats->lost && stats->profile)
		printf("%s# %llu CALLS COULD NOT BE FOLLOWED: nested too deep, or no memory%s\n",
		       cmd_color(COLOR_LOST), (unsigned long long)stats->lost,
		       cmd_color(COLOR_NONE));
	else if (stats->lost)
		printf("%s# LOST %llu EVENTS: counts are too low, and some calls have no time%s\n",
		       cmd_color(COLOR_LOST), (unsigned long long)stats->lost,
		       cmd_color(COLOR_NONE));
}

static void print_csv(const struct row *rows, size_t n, const struct trace_stats *stats)
{
	puts("function,object,calls,unfinished,total_ns,self_ns,min_ns,avg_ns,max_ns,p50_ns,p90_ns,p99_ns");
	for (size_t i = 0; i < n; i++) {
		const struct row *row = &rows[i];

		format_csv(stdout, row->f->name);
		putchar(',');
		format_csv(stdout, row->f->object);
		printf(",%llu,%llu,%llu,%llu", (unsigned long long)row->f->calls,
		       (unsigned long long)row->f->unfinished, (unsigned long long)row->total,
		       (unsigned long long)row->self);
		if (row->f->timed)
			printf(",%llu,%llu,%llu", (unsigned long long)row->min,
			       (unsigned long long)row->avg, (unsigned long long)row->max);
		else
			fputs(",,,", stdout);
		if (row->f->timed && !stats->profile)
			printf(",%llu,%llu,%llu\n", (unsigned long long)row->p50,
			       (unsigned long long)row->p90, (unsigned long long)row->p99);
		else
			puts(",,,");
	}
}

static void print_json(const struct row *rows, size_t n, const struct trace_stats *stats)
{
	printf("{\n  \"version\": 1,\n  \"records\": %llu,\n  \"calls\": %llu,\n  \"lost\": %llu,\n"
	       "  \"threads\": %llu,\n  \"functions\": [", (unsigned long long)stats->records,
	       (unsigned long long)stats->calls, (unsigned long long)stats->lost,
	       (unsigned long long)stats->threads);
	for (size_t i = 0; i < n; i++) {
		const struct row *row = &rows[i];

		printf("%s\n    {\"name\": ", i ? "," : "");
		format_json(stdout, row->f->name);
		printf(", \"symbol\": ");
		if (row->f->symbol)
			format_json(stdout, row->f->symbol);
		else
			fputs("null", stdout);
		printf(", \"object\": ");
		format_json(stdout, row->f->object);
		printf(", \"calls\": %llu, \"unfinished\": %llu, \"total_ns\": %llu, \"self_ns\": %llu",
		       (unsigned long long)row->f->calls, (unsigned long long)row->f->unfinished,
		       (unsigned long long)row->total, (unsigned long long)row->self);
		if (row->f->timed)
			printf(", \"min_ns\": %llu, \"avg_ns\": %llu, \"max_ns\": %llu",
			       (unsigned long long)row->min, (unsigned long long)row->avg,
			       (unsigned long long)row->max);
		if (row->f->timed && !stats->profile)
			printf(", \"p50_ns\": %llu, \"p90_ns\": %llu, \"p99_ns\": %llu",
			       (unsigned long long)row->p50, (unsigned long long)row->p90,
			       (unsigned long long)row->p99);
		putchar('}');
	}
	puts("\n  ]\n}");
}

static int set_sort(const char *name)
{
	for (size_t i = 0; i < NCOLUMNS; i++)
		if (!strcmp(columns[i].name, name)) {
			sort_by = &columns[i];
			return 0;
		}
	return -1;
}

static int show_stacks(struct trace_recording *recording, const struct cmd_read *read)
{
	int n;

	cmd_color_init(read->color);
	cmd_pager(read->pager);
	n = report_stack(stdout, recording, 0, read->raw_names);
	trace_warnings_done();
	if (n == 0)
		return cmd_error("%s: no stack in it; record one with 'ftrace record --tracer stack'",
				 read->dir);
	return n < 0 ? 1 : cmd_finish_stdout();
}

static int show_events(struct trace_recording *recording, const struct cmd_read *read, enum report_form form,
		       uint64_t limit)
{
	if (!trace_has_events(recording))
		return cmd_error("%s: no event in it; record some with 'ftrace record -e'", read->dir);
	cmd_color_init(read->color);
	cmd_pager(read->pager && form == REPORT_TABLE);
	if (report_events(recording, &read->select, form, limit))
		return cmd_error("%s: no memory for its events", read->dir);
	trace_warnings_done();
	return cmd_finish_stdout();
}

int cmd_report(int argc, char **argv)
{
	struct trace_recording recording;
	struct trace_stats stats;
	uint64_t limit = UINT64_MAX;
	int key, json = 0, csv = 0, stack = 0, events = 0, sorted = 0, status = 1;
	struct cmd_read read;
	struct cmd_getopt g;
	struct row *rows;
	size_t n;

	cmd_read_init(&read);
	cmd_getopt_init(&g, &usage, argc, argv, 1);
	while ((key = cmd_getopt(&g)) != -1) {
		if (cmd_read_option(&read, &g, key))
			continue;
		if (key == 's' && set_sort(g.arg))
			return cmd_bad_use("report", "%s: not a column to sort by", g.arg);
		if (key == 'n' && cmd_parse_number(g.arg, &limit))
			return cmd_bad_use("report", "%s: a limit is a number", g.arg);
		json |= key == KEY_JSON;
		csv |= key == KEY_CSV;
		stack |= key == KEY_STACK;
		events |= key == KEY_EVENTS;
		sorted |= key == 's';
	}
	if (optind < argc)
		return cmd_bad_use("report", "%s: report takes no arguments; a recording is named with -i",
				   argv[optind]);
	if (json + csv + stack > 1)
		return cmd_bad_use("report", "--json, --csv and --stack: only one of them");
	if (events && stack)
		return cmd_bad_use("report", "--events and --stack: only one of them");
	if (events && sorted)
		return cmd_bad_use("report", "--sort: events are sorted by how often they happened");
	if (cmd_read_open(&read, &recording))
		goto out;
	if (events) {
		status = show_events(&recording, &read, json ? REPORT_JSON : csv ? REPORT_CSV : REPORT_TABLE, limit);
		goto out_close;
	}
	if (stack || trace_has_results(&recording, "stack")) {
		status = show_stacks(&recording, &read);
		goto out_close;
	}
	if (trace_has_results(&recording, "profile") ?
	    trace_profile_stats(&stats, &recording, &read.select, &read.filter, read.raw_names) :
	    trace_stats(&stats, &recording, &read.select, &read.filter, read.raw_names))
		goto out_close;
	trace_warnings_done();
	rows = make_rows(&stats, &recording.clock);
	if (!rows) {
		cmd_error("%s: no memory", read.dir);
		goto out_stats;
	}
	n = stats.nfunctions < limit ? stats.nfunctions : limit;
	cmd_color_init(read.color);
	cmd_pager(read.pager && !json && !csv);
	if (json)
		print_json(rows, n, &stats);
	else if (csv)
		print_csv(rows, n, &stats);
	else
		print_table(rows, n, &stats);
	status = cmd_finish_stdout();
	free(rows);
out_stats:
	trace_stats_free(&stats);
out_close:
	trace_close(&recording);
out:
	cmd_read_free(&read);
	return status;
}
