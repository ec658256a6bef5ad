/* SPDX-License-Identifier: MIT */
/*
 * The CTF metadata of a recording: what the bytes of struct ftrace_packet and of a record are
 * called, which function a site id names, and how fast the clock ticks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reader/byteorder.h"
#include "reader/message.h"
#include "reader/metadata.h"
#include "reader/recording.h"
#include "reader/stream.h"

#define MANY_SITES	500	/* from here on only those that occur are listed */

/* A TSDL string is a C string. */
static void put_string(FILE *f, const char *s)
{
	putc('"', f);
	for (; *s; s++) {
		unsigned char c = *s;

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			fprintf(f, "\\%03o", c);
		else
			putc(c, f);
	}
	putc('"', f);
}

static void put_types(FILE *f, int big)
{
	fprintf(f, "/* CTF 1.8 */\n"
	      "\n"
	      "typealias integer { size = 32; align = 32; signed = false; } := uint32_t;\n"
	      "typealias integer { size = 64; align = 64; signed = false; } := uint64_t;\n"
	      "\n"
	      "trace {\n"
	      "\tmajor = 1;\n"
	      "\tminor = 8;\n"
	      "\tbyte_order = %s;\n"
	      "\tpacket.header := struct {\n"
	      "\t\tuint32_t magic;\n"
	      "\t\tuint32_t stream_id;\n"
	      "\t};\n"
	      "};\n"
	      "\n", big ? "be" : "le");
}

static void put_env(FILE *f, const struct ftrace_map_header *header)
{
	fputs("env {\n\ttracer_name = \"libftrace\";\n\tprocname = ", f);
	put_string(f, header->comm);
	fprintf(f, ";\n\tvpid = %u;\n\texecutable = ", header->pid);
	put_string(f, header->exe);
	fputs(";\n\tarchitecture = ", f);
	put_string(f, header->machine);
	fprintf(f, ";\n\tword_size = %u;\n};\n\n", header->word_size);
}

/*
 * CTF counts a clock's offset from the epoch as whole seconds plus ticks. Every process gets the
 * same clock, so that a reader can sort all their events.
 */
static void put_clock(FILE *f, const struct trace_clock *clock)
{
	uint64_t epoch_ns = trace_real_ns(clock, 0);
	uint64_t ticks = (unsigned __int128)(epoch_ns % 1000000000) * clock->hz / 1000000000;

	/* A counter that began before the epoch, or no moment known: times since the counter's 0. */
	if (!clock->real_ns)
		epoch_ns = ticks = 0;
	fprintf(f, "clock {\n"
		"\tname = ticks;\n"
		"\tdescription = \"the processor's tick counter\";\n"
		"\tfreq = %llu;\n"
		"\toffset_s = %llu;\n"
		"\toffset = %llu;\n"
		"\tabsolute = TRUE;\n"
		"};\n"
		"\n"
		"typealias integer {\n"
		"\tsize = 32; align = 32; signed = false; map = clock.ticks.value;\n"
		"} := tick32_t;\n"
		"typealias integer {\n"
		"\tsize = 64; align = 64; signed = false; map = clock.ticks.value;\n"
		"} := tick64_t;\n"
		"\n",
		(unsigned long long)clock->hz, (unsigned long long)(epoch_ns / 1000000000),
		(unsigned long long)ticks);
}

/*
 * Which sites the streams mention, a byte each. babeltrace2 compares every label of an enumeration with
 * every other, and each event's value with all of them: 50,000 labels cost it minutes where the
 * few that were called cost nothing. NULL: all of them are wanted, or there is no memory.
 */
static uint8_t *find_used(struct trace_recording *recording, struct trace_process *process,
			  uint32_t end)
{
	uint64_t bytes = 0;
	uint8_t *used;

	if (end < MANY_SITES)
		return NULL;
	used = calloc(end, 1);
	for (size_t i = 0; used && i < process->nstreams; i++) {
		const uint64_t *words;
		struct trace_cursor c;
		size_t n;

		if (trace_cursor_open(&c, recording, process, i, trace_window_size(1)))
			continue;
		while (trace_cursor_packet(&c)) {
			trace_progress("writing metadata", bytes + c.pos, process->size);
			while ((n = trace_cursor_records(&c, &words)))
				for (size_t j = 0; j < n; j++) {
					uint64_t site = words[j] >> FTRACE_RECORD_SITE_SHIFT;

					if (site < end)
						used[site] = 1;
				}
		}
		trace_cursor_close(&c);
		bytes += process->streams[i].size;
	}
	trace_progress_end();
	return used;
}

void trace_put_functions(FILE *f, const struct trace_map *map, const uint8_t *used)
{
	uint32_t end = trace_map_end(map);

	/* Site 0 is never given out: it keeps the list from being empty, which TSDL does not allow. */
	fputs("\t\"[none]\" = 0", f);
	for (uint32_t id = 1; id < end; id++) {
		const struct trace_site *site = trace_map_site(map, id);

		if (!site || (used && !used[id]))
			continue;
		fputs(",\n\t", f);
		put_string(f, site->name);
		fprintf(f, " = %u", id);
	}
	fputs("\n", f);
}

static void put_event(FILE *f, const char *name, unsigned id, const char *fields)
{
	fprintf(f, "event {\n\tname = \"%s\";\n\tid = %u;\n\tstream_id = 0;\n"
		"\tfields := struct {%s};\n};\n\n", name, id, fields);
}

void trace_put_packet_context(FILE *f)
{
	fputs("\t\ttick64_t timestamp_begin;\n"
	      "\t\ttick64_t timestamp_end;\n"
	      "\t\tuint64_t content_size;\n"
	      "\t\tuint64_t packet_size;\n"
	      "\t\tuint64_t events_discarded;\n"
	      "\t\tuint64_t packet_seq_num;\n"
	      "\t\tuint32_t tid;\n"
	      "\t\tuint32_t reserved;\n", f);
}

static void put_stream(FILE *f)
{
	fputs("stream {\n"
	      "\tid = 0;\n"
	      "\tpacket.context := struct {\n", f);
	trace_put_packet_context(f);
	fputs("\t};\n"
	      "\tevent.header := struct {\n"
	      "\t\ttick32_t timestamp;\n"
	      "\t\tenum : integer { size = 2; align = 1; signed = false; } {\n"
	      "\t\t\tcompact = 0 ... 2, extended = 3\n"
	      "\t\t} id;\n"
	      "\t\tvariant <id> {\n"
	      "\t\t\tstruct { } compact;\n"
	      "\t\t\tstruct {\n"
	      "\t\t\t\tinteger { size = 30; align = 1; signed = false; } id;\n"
	      "\t\t\t} extended;\n"
	      "\t\t} v;\n"
	      "\t};\n"
	      "};\n"
	      "\n", f);
	put_event(f, "func_entry", FTRACE_EVENT_ENTRY, " function_t func; ");
	put_event(f, "func_exit", FTRACE_EVENT_EXIT, " function_t func; ");
	put_event(f, "func", FTRACE_EVENT_FUNCTION, " function_t func; ");
	put_event(f, "padding", FTRACE_EXT_PADDING, " ");
	put_event(f, "tail_call", FTRACE_EXT_TAIL, " ");
	put_event(f, "frame_left", FTRACE_EXT_LEFT, " ");
}

static int write_one(struct trace_recording *recording, struct trace_process *process)
{
	const struct trace_map *map = trace_process_map(recording, process);
	int err = 0, dirfd, fd;
	uint8_t *used;
	FILE *f;

	if (!map)
		return -ENOMEM;
	dirfd = openat(recording->dirfd, process->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	fd = openat(dirfd, ".metadata.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0) {
		err = -errno;
		goto out;
	}
	f = fdopen(fd, "w");
	if (!f) {
		err = -errno;
		close(fd);
		goto out;
	}
	put_types(f, trace_map_is_big(&process->header));
	put_env(f, &process->header);
	put_clock(f, &recording->clock);
	used = find_used(recording, process, trace_map_end(map));
	fputs("typealias enum : integer { size = 30; align = 1; signed = false; } {\n", f);
	trace_put_functions(f, map, used);
	fputs("} := function_t;\n\n", f);
	free(used);
	put_stream(f);
	if (process->nevents)
		trace_put_event_metadata(f, recording, process, map);
	if (ferror(f))
		err = -EIO;
	if (fclose(f))
		err = -errno;
	if (!err && renameat(dirfd, ".metadata.tmp", dirfd, "metadata"))
		err = -errno;
out:
	if (err)
		unlinkat(dirfd, ".metadata.tmp", 0);
	close(dirfd);
	return err;
}

int trace_write_metadata(const char *dir)
{
	struct trace_recording recording;
	int err, first = 0;

	err = trace_open_as_is(&recording, dir);
	if (err)
		return err;
	for (size_t i = 0; i < recording.nprocesses; i++) {
		struct trace_process *process = &recording.processes[i];

		err = write_one(&recording, process);
		if (err) {
			trace_error(-err, "%s/%s/metadata: %s", dir, process->name, strerror(-err));
			if (!first)
				first = err;
		}
	}
	trace_close(&recording);
	return first;
}
