/* SPDX-License-Identifier: MIT */
/* ftrace replay: what its two halves, the calls (replay.c) and the lines (replay-lines.c), share. */
#ifndef CMD_REPLAY_H
#define CMD_REPLAY_H

#include "cmd/options.h"
#include "reader/events.h"
#include "reader/threads.h"

struct replay {
	struct cmd_read *read;
	struct trace_recording *recording;
	struct trace_merge merge;
	struct trace_feed *feed;		/* events with values; NULL: there are none */
	char *text;				/* of one of them */
	size_t text_size;
	struct trace_threads threads;
	struct trace_verdicts *verdicts;	/* one a process */
	const struct trace_thread *shown;	/* the last line's */
	uint64_t lines;				/* printed so far */
	unsigned thread_width;
	int abs_time, flat, tail;
};

void replay_header(struct replay *replay);

/* One line each. @now: the line's time in ticks; @ticks: how long the call took. */
void replay_line_open(struct replay *replay, struct trace_thread *thread,
		      const struct trace_frame *frame);
void replay_line_leaf(struct replay *replay, struct trace_thread *thread,
		      const struct trace_frame *frame, uint64_t now, uint64_t ticks);
void replay_line_close(struct replay *replay, struct trace_thread *thread,
		       const struct trace_frame *frame, uint64_t now, uint64_t ticks, int trusted);
void replay_line_point(struct replay *replay, struct trace_thread *thread,
		       const struct trace_frame *frame);
void replay_line_lost(struct replay *replay, struct trace_thread *thread, uint64_t now,
		      uint64_t count);

/* An event with values; @level: of the line before which it stands. */
void replay_line_event(struct replay *replay, struct trace_thread *thread,
		       const struct trace_event *event, unsigned level);

/* The function tracer's look; @parent: the frame below @frame is its caller. */
void replay_line_flat(struct replay *replay, struct trace_thread *thread,
		      const struct trace_frame *frame, int parent);

#endif /* CMD_REPLAY_H */
