/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader/merge.h"
#include "reader/message.h"

static int has(const uint32_t *list, size_t n, uint32_t value)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == value)
			return 1;
	return 0;
}

int trace_select_process(const struct trace_select *select, const struct trace_process *process)
{
	return !select->npids || has(select->pids, select->npids, process->header.pid);
}

/* To the next packet that may hold something wanted. 0 at the end of the stream. */
static int next_packet(struct trace_merge *merge, struct trace_cursor *c)
{
	const struct trace_select *select = merge->select;

	for (;;) {
		uint64_t before = c->pos;

		c->crossed++;
		if (!trace_cursor_packet(c)) {
			merge->bytes += c->size - before;
			return 0;
		}
		merge->bytes += c->pos - before;
		if (c->packet.timestamp_begin > select->to)
			return 0;
		if (c->packet.timestamp_end < select->from)
			continue;
		if (select->ntids && !has(select->tids, select->ntids, c->packet.tid))
			continue;
		return 1;
	}
}

/* To the next record of the stream. 0 at its end. */
static int next_record(struct trace_merge *merge, struct trace_cursor *c)
{
	const struct trace_select *select = merge->select;

	c->crossed = 0;
	for (;;) {
		while (c->records < c->records_end) {
			uint64_t word = *c->records++;
			uint64_t time = (c->packet.timestamp_begin & ~0xffffffffull) |
					(uint32_t)word;

			if (trace_is_unwritten(word) ||
			    word >> 32 == FTRACE_ID_EVENT(FTRACE_EVENT_EXTENDED, FTRACE_EXT_PADDING))
				continue;
			if (time < select->from)
				continue;
			if (time > select->to)
				return 0;
			/* Damage must not turn time back: durations would wrap around. */
			if (time > c->time)
				c->time = time;
			c->word = word;
			return 1;
		}
		if (c->started) {
			size_t n = trace_cursor_records(c, &c->records);

			c->records_end = c->records + n;
			if (n)
				continue;
			if (!next_packet(merge, c))
				return 0;
		}
		c->started = 1;
		c->records = c->records_end = NULL;
		if (c->lost || c->lost_packets) {
			c->pending_lost = 1;
			if (c->packet.timestamp_begin > c->time)
				c->time = c->packet.timestamp_begin;
			return 1;
		}
	}
}

static int before(const struct trace_cursor *a, const struct trace_cursor *b)
{
	return a->time != b->time ? a->time < b->time : a < b;
}

static void sift_down(struct trace_merge *merge, size_t i)
{
	struct trace_cursor **heap = merge->heap, *c = heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= merge->nheap)
			break;
		if (child + 1 < merge->nheap && before(heap[child + 1], heap[child]))
			child++;
		if (!before(heap[child], c))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = c;
}

static void drop_first(struct trace_merge *merge)
{
	trace_cursor_close(merge->heap[0]);
	merge->heap[0] = merge->heap[--merge->nheap];
	if (merge->nheap)
		sift_down(merge, 0);
}

static size_t count_streams(struct trace_recording *recording, struct trace_process *process,
			    const struct trace_select *select)
{
	size_t n = 0;

	if (process)
		return process->nstreams;
	for (size_t i = 0; i < recording->nprocesses; i++)
		if (trace_select_process(select, &recording->processes[i]))
			n += recording->processes[i].nstreams;
	return n;
}

static void add_process(struct trace_merge *merge, struct trace_recording *recording,
			struct trace_process *process, size_t window)
{
	for (size_t i = 0; i < process->nstreams; i++) {
		struct trace_cursor *c = &merge->cursors[merge->ncursors];

		if (trace_cursor_open(c, recording, process, i, window))
			continue;
		/* A small buffer for the first header; the real one comes when its time has come. */
		c->window_size = 4096;
		if (!next_packet(merge, c)) {
			trace_cursor_close(c);
			continue;
		}
		free(c->window);
		c->window = NULL;
		c->window_len = 0;
		c->window_size = window;
		c->time = c->first;
		merge->ncursors++;
	}
}

int trace_merge_open(struct trace_merge *merge, struct trace_recording *recording,
		     struct trace_process *process, const struct trace_select *select)
{
	size_t n = count_streams(recording, process, select);
	size_t window = trace_window_size(n);

	memset(merge, 0, sizeof(*merge));
	merge->select = select;
	merge->cursors = calloc(n ? n : 1, sizeof(*merge->cursors));
	merge->heap = calloc(n ? n : 1, sizeof(*merge->heap));
	if (!merge->cursors || !merge->heap) {
		trace_merge_close(merge);
		return trace_error(ENOMEM, "%s: no memory for %zu streams", recording->path, n);
	}
	if (process) {
		add_process(merge, recording, process, window);
	} else {
		for (size_t i = 0; i < recording->nprocesses; i++)
			if (trace_select_process(select, &recording->processes[i]))
				add_process(merge, recording, &recording->processes[i], window);
	}
	for (size_t i = 0; i < merge->ncursors; i++)
		merge->heap[i] = &merge->cursors[i];
	merge->nheap = merge->ncursors;
	for (size_t i = merge->nheap / 2; i--;)
		sift_down(merge, i);
	return 0;
}

void trace_merge_close(struct trace_merge *merge)
{
	for (size_t i = 0; merge->cursors && i < merge->ncursors; i++)
		trace_cursor_close(&merge->cursors[i]);
	free(merge->cursors);
	free(merge->heap);
	memset(merge, 0, sizeof(*merge));
}

struct trace_cursor *trace_merge_packet(struct trace_merge *merge)
{
	if (merge->given) {
		struct trace_cursor *c = merge->heap[0];

		if (next_packet(merge, c)) {
			c->time = c->first;
			sift_down(merge, 0);
		} else {
			drop_first(merge);
		}
	}
	merge->given = merge->nheap != 0;
	return merge->nheap ? merge->heap[0] : NULL;
}

static void fill(struct trace_record *record, const struct trace_cursor *c)
{
	record->time = c->time;
	record->process = c->process;
	record->tid = c->packet.tid;
	if (c->pending_lost) {
		record->event = TRACE_LOST;
		record->lost = c->lost;
		record->site = 0;
		return;
	}
	record->event = c->word >> FTRACE_RECORD_EVENT_SHIFT & 3;
	record->site = c->word >> FTRACE_RECORD_SITE_SHIFT;
	record->lost = 0;
}

int trace_merge_record(struct trace_merge *merge, struct trace_record *record)
{
	struct trace_cursor *c;

	if (merge->given) {
		c = merge->heap[0];
		if (!merge->peeked) {
			c->pending_lost = 0;
			if (!next_record(merge, c))
				c->started = -1;
		}
		if (c->started < 0)
			drop_first(merge);
		else
			sift_down(merge, 0);
	}
	merge->given = merge->peeked = 0;
	while (merge->nheap) {
		c = merge->heap[0];
		if (c->started) {
			merge->given = 1;
			merge->tid = c->packet.tid;
			fill(record, c);
			return 1;
		}
		if (next_record(merge, c))
			sift_down(merge, 0);
		else
			drop_first(merge);
	}
	return 0;
}

/*
 * The peeked record is in the next packet. Is it certainly the thread's next one? Not if another
 * stream holds an earlier packet of that thread, or packets in between were passed over.
 */
static int certain(const struct trace_merge *merge, const struct trace_cursor *c)
{
	if (c->crossed > 1)
		return 0;
	for (size_t i = 1; i < merge->nheap; i++) {
		const struct trace_cursor *other = merge->heap[i];

		if (other->packet.tid == merge->tid && other->process == c->process &&
		    other->time <= c->time)
			return 0;
	}
	return 1;
}

int trace_merge_peek(struct trace_merge *merge, struct trace_record *record)
{
	struct trace_cursor *c = merge->heap[0];

	if (!merge->peeked) {
		merge->peeked = 1;
		c->pending_lost = 0;
		if (!next_record(merge, c)) {
			c->started = -1;
			return 0;
		}
	}
	if (c->started < 0 || c->packet.tid != merge->tid || (c->crossed && !certain(merge, c)))
		return 0;
	fill(record, c);
	return 1;
}

void trace_merge_take(struct trace_merge *merge)
{
	merge->peeked = 0;
}
