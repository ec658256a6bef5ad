/* SPDX-License-Identifier: MIT */
/*
 * Many streams in the order of time: whole packets of one process (enough where only the order
 * within a thread counts), or single records of everything.
 */
#ifndef TRACE_MERGE_H
#define TRACE_MERGE_H

#include "reader/stream.h"

/* What is wanted of a recording. All zeros with to = UINT64_MAX: all of it. */
struct trace_select {
	uint64_t from, to;	/* ticks, both included */
	const uint32_t *tids;
	size_t ntids;		/* 0: every thread */
	const uint32_t *pids;
	size_t npids;		/* 0: every process */
};

int trace_select_process(const struct trace_select *select, const struct trace_process *process);

enum {
	TRACE_LOST = 4,		/* behind enum ftrace_event: records were lost before this moment */
};

struct trace_record {
	uint64_t time;		/* ticks */
	uint64_t lost;		/* TRACE_LOST: how many records, 0: unknown */
	struct trace_process *process;
	uint32_t tid;
	uint32_t site;		/* site id, or enum ftrace_extended */
	unsigned event;		/* enum ftrace_event or TRACE_LOST */
};

struct trace_merge {
	struct trace_cursor *cursors;
	size_t ncursors;
	struct trace_cursor **heap;	/* the earliest first */
	size_t nheap;
	const struct trace_select *select;
	int by_packet;
	int given;			/* the heap's first was given out and has to move on */
	int peeked;			/* ... and has moved on already */
	uint32_t tid;			/* of the record given */
	uint64_t bytes;			/* gone through, for progress */
};

/*
 * Open all selected streams of @process, or with NULL of all selected processes. @select must live as
 * long. Streams that cannot be read are left out with a warning. Returns 0 or -ENOMEM.
 */
int trace_merge_open(struct trace_merge *merge, struct trace_recording *recording,
		     struct trace_process *process, const struct trace_select *select);
void trace_merge_close(struct trace_merge *merge);

/*
 * The next packet by its timestamp_begin; read its records with trace_cursor_records() before
 * the next call. NULL at the end. Not to be mixed with trace_merge_record().
 */
struct trace_cursor *trace_merge_packet(struct trace_merge *merge);

/* The next record by time. Returns 1, or 0 at the end. Padding is left out. */
int trace_merge_record(struct trace_merge *merge, struct trace_record *record);

/*
 * The next record of the same thread as the one just given, if its stream tells; at the end of a packet
 * it may not. Returns 1 or 0. trace_merge_take() takes the record peeked at out of the merge.
 */
int trace_merge_peek(struct trace_merge *merge, struct trace_record *record);
void trace_merge_take(struct trace_merge *merge);

#endif /* TRACE_MERGE_H */
