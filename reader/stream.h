/* SPDX-License-Identifier: MIT */
/*
 * One stream file, packet by packet, through a window of bounded size. A damaged packet is left out
 * with a warning, and reading goes on at the next one that looks sound.
 */
#ifndef TRACE_STREAM_H
#define TRACE_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "reader/recording.h"

struct trace_cursor {
	/* The packet under the cursor. */
	struct ftrace_packet packet;
	uint64_t first;		/* time of its first record; of its beginning if there is none */
	uint64_t lost;		/* records lost between the packet before and this one */
	uint64_t lost_packets;	/* packets missing between them (damage, disk full) */
	struct trace_process *process;
	const struct trace_stream_file *file;
	size_t index;		/* place among its process's streams, for a stable order */

	/* Record by record, see merge.h. */
	uint64_t time;		/* of the record under the cursor, ticks */
	uint64_t word;
	const uint64_t *records, *records_end;
	int pending_lost;	/* tell of the loss before the packet's first record */
	int started;
	unsigned crossed;	/* packets gone through to get to this record */

	/* Private. */
	struct trace_recording *recording;
	uint64_t pos;		/* of the packet in the file */
	uint64_t read;		/* bytes of the packet given out */
	uint64_t size;		/* of the file */
	uint64_t window_pos;
	size_t window_len, window_size;
	char *window;
	int fd;			/* -1: opened for each read, so many streams there are */
	uint32_t stream_id;	/* what packets of this file have */
	int swapped;		/* the packet's byte order is not this machine's */
	int has_packet;
	int has_seq;
	uint64_t next_seq, discarded;
};

/*
 * Put the cursor before the first packet of stream @index. @window: bytes of buffer to use, rounded
 * to something useful; taken when first needed, given back at the end. Returns 0 or a negative
 * errno after a warning.
 */
int trace_cursor_open(struct trace_cursor *c, struct trace_recording *recording,
		      struct trace_process *process, size_t index, size_t window);

/* The same for stream @index of events, with a window for a whole packet. */
int trace_cursor_open_events(struct trace_cursor *c, struct trace_recording *recording,
			     struct trace_process *process, size_t index);
void trace_cursor_close(struct trace_cursor *c);

/* To the next packet. Returns 1, or 0 at the end. Only its header is read. */
int trace_cursor_packet(struct trace_cursor *c);

/*
 * The next run of records of this packet (padding and even unwritten words may be among them), as
 * numbers of a little-endian machine whatever wrote them: FTRACE_RECORD_*_SHIFT. Returns how many, 0 at the packet's end. Good until the next call.
 */
size_t trace_cursor_records(struct trace_cursor *c, const uint64_t **records);

/*
 * The content of this packet of events as it is in the file, without its header; *@len bytes. NULL: nothing is
 * to be had. Good until the next call.
 */
const unsigned char *trace_cursor_content(struct trace_cursor *c, size_t *len);

static inline int trace_is_unwritten(uint64_t word)
{
	return word == 0 || word >> FTRACE_RECORD_EVENT_SHIFT == 0xffffffffu;
}

/* A window for each of @nstreams that together stay within a fixed budget. */
size_t trace_window_size(size_t nstreams);

#endif /* TRACE_STREAM_H */
