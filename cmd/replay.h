/* SPDX-License-Identifier: MIT */
/* ftrace replay: what its parts, the calls (replay.c), their values (replay-args.c) and the lines (replay-lines.c), share. */
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
	int abs_time, flat, tail, no_args;
	struct trace_arguments *arguments;	/* how some of the events are shown beside calls; NULL: none */
};

/* ---- replay-args.c ---- */

void replay_args_open(struct replay *replay);
void replay_args_close(struct replay *replay);

/* Note @event for the record of its thread that comes next. 0: it is no such event. */
int replay_args_note(struct replay *replay, struct trace_thread *thread, const struct trace_event *event);

/*
 * The same for @events, which the feed has for @next, a record that was looked ahead at: if all of them are values that
 * it returns. 0: they are not.
 */
int replay_args_take(struct replay *replay, struct trace_thread *thread, const struct trace_record *next,
		     struct trace_event **events, size_t n);

/* @r begins a call, at @depth of its thread's stack, or ends one: what was noted is its. */
void replay_args_call(struct trace_thread *thread, const struct trace_record *r, uint32_t depth);
void replay_args_return(struct trace_thread *thread, const struct trace_record *r);

/* What was noted, as text; NULL: nothing. */
const char *replay_args_of_call(const struct trace_thread *thread, const struct trace_frame *frame);
const char *replay_args_of_return(const struct trace_thread *thread);

/* ---- replay-lines.c ---- */

void replay_header(struct replay *replay);

/* One line each. @now: the line's time in ticks; @ticks: how long the call took; @ret: what it returned, NULL: not known. */
void replay_line_open(struct replay *replay, struct trace_thread *thread,
		      const struct trace_frame *frame);
void replay_line_leaf(struct replay *replay, struct trace_thread *thread,
		      const struct trace_frame *frame, uint64_t now, uint64_t ticks, const char *ret);
void replay_line_close(struct replay *replay, struct trace_thread *thread,
		       const struct trace_frame *frame, uint64_t now, uint64_t ticks, int trusted, const char *ret);
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
