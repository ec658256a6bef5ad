/* SPDX-License-Identifier: MIT */
/*
 * A recording: its processes, their stream files, its clock. What is damaged is left out with a
 * warning; only a directory in which nothing can be read is an error.
 */
#ifndef TRACE_RECORDING_H
#define TRACE_RECORDING_H

#include <stddef.h>
#include <stdint.h>

#include "reader/clock.h"
#include "reader/info.h"
#include "reader/map.h"

struct trace_stream_file {
	char *name;		/* "stream-3" */
	uint64_t size;		/* bytes */
};

struct trace_process {
	char *name;		/* of its directory: COMM-PID.GEN */
	struct ftrace_map_header header;	/* zeros where the map cannot be read */
	struct trace_map *map;	/* NULL until trace_process_map() */
	struct trace_process *parent;	/* whose text it inherits, NULL: nobody's */
	struct trace_stream_file *streams;
	size_t nstreams;
	struct trace_stream_file *events;	/* stream files of events, "events-4" */
	size_t nevents;
	uint64_t size;		/* bytes of all streams of records */
	unsigned depth;		/* of inheritance, against cycles in damaged headers */
};

struct trace_recording {
	char *path;
	int dirfd;
	struct trace_info info;
	int has_info;
	struct trace_process *processes;	/* by start time */
	size_t nprocesses;
	struct trace_clock clock;
	int clock_known;	/* 0: the tick's length is a guess */
	uint64_t size;		/* bytes of all streams of all processes */
	int single;		/* @path was one CTF trace of a recording */
};

/*
 * Open the recording in @path, or one process's trace inside a recording. A recording whose
 * recorder was killed is repaired first (see repair.h).
 *
 * Returns 0, or a negative errno after having said what is wrong and what to do: -ENOENT (no such
 * directory, or no recording), -EBUSY (still being recorded), -ENOTSUP (a format this version does not
 * read), -ENOMEM.
 */
int trace_open(struct trace_recording *recording, const char *path);

/* The same without looking for an unfinished recording; for the recorder and for repair itself. */
int trace_open_as_is(struct trace_recording *recording, const char *path);

void trace_close(struct trace_recording *recording);

/*
 * The process's map, read when first asked for; with an empty one in its place (and a warning) where
 * it cannot be read. NULL only without memory. It stays until trace_close().
 */
const struct trace_map *trace_process_map(struct trace_recording *recording,
					  struct trace_process *process);

/* Forget the map, where thousands of processes are gone through. */
void trace_process_release(struct trace_process *process);

#endif /* TRACE_RECORDING_H */
