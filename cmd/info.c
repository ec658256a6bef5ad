/* SPDX-License-Identifier: MIT */
/* ftrace info: what was recorded, where, when, and what could not be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/cmd.h"
#include "cmd/color.h"
#include "cmd/format.h"
#include "cmd/options.h"
#include "cmd/pager.h"
#include "reader/message.h"

enum { KEY_THREADS = 256 };

static const struct cmd_option options[] = {
	{ "threads", KEY_THREADS, NULL, "list the threads of each process, too" },
	{ NULL, 0, NULL, NULL },
};

static const struct cmd_usage usage = {
	.name = "info",
	.synopsis = "[OPTION...]",
	.about = "Shows what was recorded: the command, the machine, processes and threads, how much, what\n"
		 "was lost, and which functions could not be traced.",
	.tables = { options, cmd_read_options },
};

struct thread {
	uint32_t tid;
	uint64_t records, first, last;
};

struct process {
	struct thread *threads;		/* by tid */
	size_t nthreads;
	uint64_t records, packets, lost, first, last;
};

struct refusal {
	const char *reason;
	uint64_t count;
};

/* Keys that are shown in words of our own. */
static const char *const known[] = {
	"version", "command", "start_real_ns", "end_real_ns", "tick_hz", "end_ticks", "end_mono_ns",
	"machine", "status", "recorded", "records", "discarded",
	/* Shown as totals of the processes. */
	"calls_dropped", "calls_unshadowed", "threads_unrecorded", "untraceable", "threads",
	"processes",
};

static void *need(void *p)
{
	if (!p)
		exit(cmd_error("info: no memory"));
	return p;
}

static struct thread *thread_of(struct process *p, uint32_t tid)
{
	size_t low = 0, high = p->nthreads;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (p->threads[middle].tid < tid)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < p->nthreads && p->threads[low].tid == tid)
		return &p->threads[low];
	if (p->nthreads % 64 == 0)
		p->threads = need(reallocarray(p->threads, p->nthreads + 64, sizeof(*p->threads)));
	memmove(&p->threads[low + 1], &p->threads[low], (p->nthreads++ - low) * sizeof(*p->threads));
	p->threads[low] = (struct thread){ .tid = tid, .first = UINT64_MAX };
	return &p->threads[low];
}

/* Packet headers tell enough; records themselves are not looked at. */
static void read_streams(struct trace_recording *recording, struct trace_process *process,
			 struct process *p, uint64_t *done)
{
	p->first = UINT64_MAX;
	for (size_t i = 0; i < process->nstreams; i++) {
		struct trace_cursor c;

		if (trace_cursor_open(&c, recording, process, i, 0))
			continue;
		while (trace_cursor_packet(&c)) {
			uint64_t n = c.packet.content_size / 64 - sizeof(c.packet) / 8;
			struct thread *t;

			p->packets++;
			p->lost += c.lost;
			if (p->packets % 1024 == 0)
				trace_progress("reading", *done + c.pos, recording->size);
			if (!n)
				continue;
			t = thread_of(p, c.packet.tid);
			t->records += n;
			p->records += n;
			if (c.packet.timestamp_begin < t->first)
				t->first = c.packet.timestamp_begin;
			if (c.packet.timestamp_end > t->last)
				t->last = c.packet.timestamp_end;
			if (t->first < p->first)
				p->first = t->first;
			if (t->last > p->last)
				p->last = t->last;
		}
		trace_cursor_close(&c);
		*done += process->streams[i].size;
	}
}

static void print_key(const char *key)
{
	printf("%s%-18s%s ", cmd_color(COLOR_DIM), key, cmd_color(COLOR_NONE));
}

/* A value from a file: no byte of it may steer the terminal. */
static void print_text(const char *s)
{
	for (; *s; s++)
		putchar((unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
}

static void print_time(const char *key, uint64_t real_ns)
{
	time_t seconds = real_ns / 1000000000;
	char text[64];
	struct tm tm;

	if (!localtime_r(&seconds, &tm))
		return;
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	print_key(key);
	printf("%s.%03u", text, (unsigned)(real_ns % 1000000000 / 1000000));
	strftime(text, sizeof(text), "%z", &tm);
	printf(" %s\n", text);
}

static void print_value(const struct trace_info *info, const char *key, const char *label)
{
	const char *value = trace_info_get(info, key);

	if (!value)
		return;
	print_key(label);
	print_text(value);
	putchar('\n');
}

static int is_known(const char *key)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i], key))
			return 1;
	return 0;
}

static void print_head(const struct trace_recording *recording)
{
	const struct trace_info *info = &recording->info;
	uint64_t start = trace_info_u64(info, "start_real_ns", recording->clock.real_ns);
	uint64_t end = trace_info_u64(info, "end_real_ns", 0);
	char text[32];

	print_value(info, "command", "command");
	print_value(info, "status", "exit status");
	if (start)
		print_time("begun", start);
	if (start && end > start) {
		print_key("took");
		puts(format_duration(end - start, text));
	}
	print_value(info, "machine", "machine");
	print_key("clock");
	printf("%.6f MHz\n", recording->clock.hz / 1e6);
	print_value(info, "recorded", "recorded");
	for (size_t i = 0; i < info->count; i++) {
		if (is_known(info->entries[i].key))
			continue;
		print_text(info->entries[i].key);
		for (size_t n = strlen(info->entries[i].key); n < 19; n++)
			putchar(' ');
		print_text(info->entries[i].value);
		putchar('\n');
	}
}

static void print_total(const char *key, uint64_t count, const char *what)
{
	if (!count)
		return;
	print_key(key);
	printf("%llu%s\n", (unsigned long long)count, what);
}

static void print_totals(const struct trace_recording *recording, const struct process *processes)
{
	uint64_t records = 0, packets = 0, lost = 0, streams = 0, depth = 0, shadow = 0, threads = 0;
	uint64_t discarded = trace_info_u64(&recording->info, "discarded", 0);
	char text[32];

	for (size_t i = 0; i < recording->nprocesses; i++) {
		const struct ftrace_map_header *h = &recording->processes[i].header;

		records += processes[i].records;
		packets += processes[i].packets;
		lost += processes[i].lost + h->records_lost;
		streams += recording->processes[i].nstreams;
		depth += h->calls_dropped;
		shadow += h->calls_unshadowed;
		threads += h->threads_unrecorded;
	}
	print_key("records");
	printf("%llu in %llu packets\n", (unsigned long long)records, (unsigned long long)packets);
	print_key("size");
	printf("%s in %llu stream%s\n", format_size(recording->size, text),
	       (unsigned long long)streams, streams == 1 ? "" : "s");
	print_key("lost");
	printf("%llu records\n", (unsigned long long)(lost > discarded ? lost : discarded));
	print_total("dropped", depth, " calls, by depth or threshold");
	print_total("not recorded", shadow, " calls, on stacks without a shadow");
	print_total("not recorded", threads, " threads, for which there was no ring");
}

static void print_processes(struct trace_recording *recording, const struct process *processes,
			    int threads)
{
	char text[32];

	printf("\n%s#   PID.GEN   PARENT  THREADS     RECORDS       SIZE  ACTIVE FOR  PROGRAM%s\n",
	       cmd_color(COLOR_DIM), cmd_color(COLOR_NONE));
	for (size_t i = 0; i < recording->nprocesses; i++) {
		const struct trace_process *process = &recording->processes[i];
		const struct process *p = &processes[i];
		const struct ftrace_map_header *h = &process->header;
		char id[32], took[32];

		snprintf(id, sizeof(id), "%u.%u", h->pid, h->gen);
		printf("%11s %8u %8zu %11llu %10s  %10s  ", id, h->parent_pid, p->nthreads,
		       (unsigned long long)p->records, format_size(process->size, text),
		       p->last > p->first ?
		       format_duration(trace_ns(&recording->clock, p->last - p->first), took) : "-");
		print_text(h->exe[0] ? h->exe : h->comm);
		putchar('\n');
		for (size_t j = 0; threads && j < p->nthreads; j++) {
			const struct thread *t = &p->threads[j];

			printf("%11s %8s %8u %11llu %10s  %10s\n", "", "thread", t->tid,
			       (unsigned long long)t->records, "",
			       format_duration(trace_ns(&recording->clock, t->last - t->first), took));
		}
	}
}

static int by_count(const void *a, const void *b)
{
	const struct refusal *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->reason, y->reason);
}

/* Forked processes inherit their parent's refusals with its text: they are counted once. */
static void print_refusals(struct trace_recording *recording)
{
	struct refusal *list = NULL;
	uint64_t total = 0, said = 0;
	size_t n = 0;

	for (size_t i = 0; i < recording->nprocesses; i++) {
		const struct trace_map *map = trace_process_map(recording,
								&recording->processes[i]);

		if (!map)
			exit(cmd_error("info: no memory"));
		if (!map->header.inherited)
			said += map->header.untraceable;
		for (size_t j = 0; j < map->nrefusals; j++) {
			size_t k = 0;

			while (k < n && strcmp(list[k].reason, map->refusals[j].reason))
				k++;
			if (k == n) {
				if (n >= 1000)
					continue;
				list = need(reallocarray(list, n + 1, sizeof(*list)));
				list[n++] = (struct refusal){ map->refusals[j].reason, 0 };
			}
			list[k].count += map->refusals[j].count;
			total += map->refusals[j].count;
		}
	}
	if (!n && !said)
		return;
	if (said > total)
		total = said;
	printf("\n%s# %llu FUNCTIONS COULD NOT BE TRACED%s\n", cmd_color(COLOR_DIM),
	       (unsigned long long)total, cmd_color(COLOR_NONE));
	if (n)
		qsort(list, n, sizeof(*list), by_count);
	for (size_t k = 0; k < n; k++) {
		printf("%10llu  ", (unsigned long long)list[k].count);
		print_text(list[k].reason);
		putchar('\n');
	}
	free(list);
}

int cmd_info(int argc, char **argv)
{
	struct trace_recording recording;
	struct process *processes;
	struct cmd_read read;
	struct cmd_getopt g;
	int key, threads = 0, status;
	uint64_t done = 0;

	cmd_read_init(&read);
	cmd_getopt_init(&g, &usage, argc, argv, 1);
	while ((key = cmd_getopt(&g)) != -1)
		if (!cmd_read_option(&read, &g, key))
			threads |= key == KEY_THREADS;
	if (optind < argc)
		return cmd_bad_use("info", "%s: info takes no arguments; a recording is named with -i",
				   argv[optind]);
	if (cmd_read_open(&read, &recording)) {
		cmd_read_free(&read);
		return 1;
	}
	processes = need(calloc(recording.nprocesses + 1, sizeof(*processes)));
	for (size_t i = 0; i < recording.nprocesses; i++)
		read_streams(&recording, &recording.processes[i], &processes[i], &done);
	trace_progress_end();
	cmd_color_init(read.color);
	cmd_pager(read.pager);
	print_head(&recording);
	print_totals(&recording, processes);
	if (recording.nprocesses)
		print_processes(&recording, processes, threads);
	print_refusals(&recording);
	status = cmd_finish_stdout();
	trace_warnings_done();
	for (size_t i = 0; i < recording.nprocesses; i++)
		free(processes[i].threads);
	free(processes);
	trace_close(&recording);
	cmd_read_free(&read);
	return status;
}
