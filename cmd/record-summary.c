/* SPDX-License-Identifier: MIT */
/* What is known when a recording has ended: its last files, and the line on stderr. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "arch.h"
#include "cmd/cmd.h"
#include "cmd/record.h"
#include "reader/info.h"
#include "reader/metadata.h"

#define RATE_NS		10000000
#define NS		1000000000ull

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
}

/* One moment by three clocks: of some tries, the one in which least time passed. */
void record_clock(uint64_t *ticks, uint64_t *mono_ns, uint64_t *real_ns)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 10; i++) {
		uint64_t before = arch_ticks(), mono = clock_ns(CLOCK_MONOTONIC), between = arch_ticks();
		uint64_t real = clock_ns(CLOCK_REALTIME), after = arch_ticks();

		if (after - before >= least)
			continue;
		least = after - before;
		*ticks = before + (between - before) / 2;
		*mono_ns = mono;
		*real_ns = real;
	}
}

static uint64_t rate(uint64_t ticks, uint64_t ns)
{
	return ns ? (uint64_t)((unsigned __int128)ticks * NS / ns) : 0;
}

uint64_t record_tick_rate(void)
{
	struct timespec wait = { .tv_nsec = RATE_NS };
	uint64_t t0, m0, t1, m1, real;

	record_clock(&t0, &m0, &real);
	nanosleep(&wait, NULL);
	record_clock(&t1, &m1, &real);
	return rate(t1 - t0, m1 - m0);
}

/* The command as a shell would need it. */
static char *quote_command(char **command)
{
	size_t len;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	for (; out && *command; command++) {
		const char *p = *command;

		if (*p && !p[strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				       "_-+=./:,@%")]) {
			fputs(p, out);
		} else {
			putc('\'', out);
			for (; *p; p++)
				if (*p == '\'')
					fputs("'\\''", out);
				else
					putc(*p, out);
			putc('\'', out);
		}
		if (command[1])
			putc(' ', out);
	}
	return out && !fclose(out) ? text : NULL;
}

/* What is known at the beginning, and stays all there is if the recorder is killed. */
static void set_first_info(const struct record *r, struct trace_info *info)
{
	char *command = quote_command(r->opt->command);
	struct utsname uts = { 0 };

	uname(&uts);
	trace_info_set(info, "version", "1");
	trace_info_set(info, "command", "%s", command ? command : r->opt->command[0]);
	free(command);
	trace_info_set(info, "tracer", "%s", r->opt->tracer);
	trace_info_set(info, "machine", "%s", uts.machine);
	trace_info_set(info, "system", "%s %s", uts.sysname, uts.release);
	trace_info_set(info, "start_real_ns", "%" PRIu64, r->begin_real_ns);
	trace_info_set(info, "recorded", "interrupted");
	trace_info_set(info, "overwrite", "%d", r->opt->overwrite);
	for (const struct record_choice *c = r->opt->choices; c; c = c->next)
		trace_info_set(info, c->file, "%s", c->value);
}

static void set_info(struct record *r, struct trace_info *info)
{
	const struct record_totals *t = &r->totals;

	set_first_info(r, info);
	trace_info_set(info, "end_real_ns", "%" PRIu64, r->end_real_ns);
	trace_info_set(info, "end_ticks", "%" PRIu64, r->end_ticks);
	trace_info_set(info, "end_mono_ns", "%" PRIu64, r->end_mono_ns);
	trace_info_set(info, "tick_hz", "%" PRIu64,
		       rate(r->end_ticks - r->begin_ticks, r->end_mono_ns - r->begin_mono_ns));
	if (!r->is_snapshot)
		trace_info_set(info, "status", "%d", record_run_status(r));
	trace_info_set(info, "recorded", r->stopped_why ? "interrupted" : "complete");
	trace_info_set(info, "calls", "%" PRIu64, t->calls);
	trace_info_set(info, "records", "%" PRIu64, t->records);
	if (t->events)
		trace_info_set(info, "events", "%" PRIu64, t->events);
	trace_info_set(info, "discarded", "%" PRIu64, t->discarded);
	trace_info_set(info, "threads", "%" PRIu64, t->threads);
	trace_info_set(info, "processes", "%u", t->processes);
	trace_info_set(info, "stalls", "%" PRIu64, t->stalls);
	trace_info_set(info, "calls_dropped", "%" PRIu64, t->calls_dropped);
	trace_info_set(info, "calls_unshadowed", "%" PRIu64, t->calls_unshadowed);
	trace_info_set(info, "threads_unrecorded", "%" PRIu64, t->threads_unrecorded);
	trace_info_set(info, "untraceable", "%" PRIu64, t->untraceable);
}

static int write_info(struct record *r, struct trace_info *info)
{
	int err = trace_info_write(info, r->out_fd);

	trace_info_free(info);
	return err ? cmd_error("%s/info: %s", r->opt->output, strerror(-err)) : 0;
}

int record_begin_output(struct record *r)
{
	struct trace_info info = { 0 };

	set_first_info(r, &info);
	return write_info(r, &info) || record_write_args(r);
}

int record_finish_output(struct record *r)
{
	struct trace_info info = { 0 };
	int err;

	set_info(r, &info);
	err = write_info(r, &info);
	if (err)
		return err;
	return trace_write_metadata(r->opt->output) ? -1 : 0;
}

static void print_size(FILE *out, uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	double size = (double)bytes;
	size_t i = 0;

	for (; size >= 1024 && i < 4; i++)
		size /= 1024;
	fprintf(out, i ? "%.1f %s" : "%.0f %s", size, units[i]);
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void print_count(FILE *out, uint64_t n, const char *what, const char *rest)
{
	if (n)
		fprintf(out, "; %" PRIu64 " %s%s%s", n, what, plural(n), rest);
}

/* What ended the recording early, if anything did. */
static void print_stop(FILE *out, const struct record *r)
{
	if (!r->stopped_why)
		return;
	if (r->stopped_err) {
		fprintf(out, "; recording stopped early: %s %s: %s", r->opt->output, r->stopped_why,
			strerror(r->stopped_err));
		return;
	}
	fputs("; recording stopped early at the largest size of ", out);
	print_size(out, r->max_size);
	fputs(r->opt->max_size ? " (--max-size)" : " (an eighth of the free disk space, or 16G; see --max-size)",
	      out);
}

void record_summary(const struct record *r)
{
	const struct record_totals *t = &r->totals;

	fputs("ftrace: ", stderr);
	/* A tracer that writes no records may not have counted. */
	if (t->calls || !t->results)
		fprintf(stderr, "%" PRIu64 " call%s", t->calls, plural(t->calls));
	if (t->events)
		fprintf(stderr, "%s%" PRIu64 " event%s", t->calls || !t->results ? " and " : "", t->events,
			plural(t->events));
	if (t->calls || t->events || !t->results)
		fprintf(stderr, " of %" PRIu64 " thread%s in ", t->threads, plural(t->threads));
	fprintf(stderr, "%u process%s, ", t->processes, t->processes == 1 ? "" : "es");
	print_size(stderr, r->written);
	fprintf(stderr, " in %s", r->opt->output);
	print_count(stderr, t->discarded, "record", " dropped");
	print_count(stderr, t->calls_dropped, "call", " left out by depth or threshold");
	print_count(stderr, t->calls_unshadowed, "call", " could not be recorded (no room beside their stack)");
	print_count(stderr, t->calls_unfollowed, "call", " not counted: nested too deep, or no memory");
	print_count(stderr, t->threads_unrecorded, "thread", " could not be recorded (no room for a ring)");
	print_count(stderr, t->untraceable, "function", " that cannot be traced");
	if (t->untraceable)
		fprintf(stderr, " (see 'ftrace list --refused%s %s')",
			t->untraceable_in_libs ? " --libs" : "", t->untraceable_in);
	if (r->still_running)
		fprintf(stderr, "; %u process%s still running, no longer recorded", r->still_running,
			r->still_running == 1 ? "" : "es");
	print_stop(stderr, r);
	fputc('\n', stderr);
}
