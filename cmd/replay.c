/* SPDX-License-Identifier: MIT */
/*
 * ftrace replay: the recorded calls in the look of the kernel's function_graph tracer.
 *
 * It streams: a line is printed when its record is read. A function's duration is needed only
 * on its closing line, or when it is a leaf, which one record of lookahead tells. With a threshold, an
 * entry's line waits until a call inside it, or its own, has ended and was long enough; what waits is
 * never more than the open stack.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/color.h"
#include "cmd/options.h"
#include "cmd/output.h"
#include "cmd/pager.h"
#include "cmd/replay.h"
#include "reader/message.h"

enum { KEY_ABS_TIME = 256, KEY_FLAT, KEY_TAIL, KEY_NO_ARGS };

static const struct cmd_option options[] = {
	{ "abs-time", KEY_ABS_TIME, NULL, "begin each line with the time, CLOCK_MONOTONIC in seconds" },
	{ "flat", KEY_FLAT, NULL, "one line a call, without its return: the function tracer's look;\n"
	  "the default for what that tracer recorded" },
	{ "tail", KEY_TAIL, NULL, "name the function on every closing line" },
	{ "no-args", KEY_NO_ARGS, NULL, "do not show values of arguments and results" },
	{ NULL, 0, NULL, NULL },
};

static const struct cmd_usage usage = {
	.name = "replay",
	.synopsis = "[OPTION...]",
	.about = "Shows the recorded calls, one by one, as the kernel's function_graph tracer does.",
	.tables = { options, cmd_read_options, cmd_select_options },
	.notes = "Marks before a duration: + over 10 us, ! 100 us, # 1 ms, * 10 ms, @ 100 ms, $ 1 s.\n"
		 "A call that was left by an exception or longjmp, or that ended in a tail call, closes\n"
		 "together with the function it returned through.",
};

/* Process-wide: verdicts of the filter on its sites. */
static struct trace_verdicts *verdicts_of(struct replay *replay, struct trace_process *process)
{
	struct trace_verdicts *v = &replay->verdicts[process - replay->recording->processes];

	if (!v->flags) {
		const struct trace_map *map = trace_process_map(replay->recording, process);

		if (!map || trace_verdicts_init(v, &replay->read->filter, map))
			exit(cmd_error("%s: no memory", process->name));
	}
	return v;
}

static int hidden(const struct trace_frame *frame)
{
	return frame->flags & TRACE_FRAME_HIDDEN;
}

static int printed(const struct trace_frame *frame)
{
	return frame->flags & TRACE_FRAME_PRINTED;
}

static uint64_t lasted(const struct trace_frame *frame, uint64_t now)
{
	return now > frame->start ? now - frame->start : 0;
}

static void print_open(struct replay *replay, struct trace_thread *thread, struct trace_frame *frame)
{
	frame->flags |= TRACE_FRAME_PRINTED;
	replay_line_open(replay, thread, frame);
	frame->data = replay->lines;
}

/*
 * Frames [@bottom, depth) end now; @ret is what @bottom returned, NULL: not known. With a threshold, entries that waited come first if one of the
 * ending calls was long enough; the uppermost of these is a leaf, as all above it was left out.
 */
static void close_frames(struct replay *replay, struct trace_thread *thread, uint32_t bottom,
			 uint64_t now, const char *ret)
{
	struct trace_stack *stack = &thread->stack;
	uint64_t threshold = replay->read->filter.threshold;
	int64_t leaf = -1;

	if (threshold) {
		int64_t i = (int64_t)stack->depth - 1;

		for (; i >= bottom; i--) {
			struct trace_frame *frame = &stack->frames[i];

			if (printed(frame))
				break;
			if (!hidden(frame) && i >= stack->untrusted && lasted(frame, now) >= threshold) {
				leaf = i;
				break;
			}
		}
		for (i = stack->untrusted; i < leaf; i++)
			if (!hidden(&stack->frames[i]) && !printed(&stack->frames[i]))
				print_open(replay, thread, &stack->frames[i]);
	}
	while (stack->depth > bottom) {
		struct trace_frame *frame = &stack->frames[stack->depth - 1];
		int trusted = stack->depth - 1 >= stack->untrusted;
		const char *its = stack->depth - 1 == bottom ? ret : NULL;

		if (stack->depth - 1 == leaf)
			replay_line_leaf(replay, thread, frame, now, lasted(frame, now), its);
		else if (printed(frame))
			replay_line_close(replay, thread, frame, now, lasted(frame, now), trusted, its);
		trace_stack_pop(stack);
	}
}

/* Entries that waited for the threshold and will not be seen to end: those long enough by @now. */
static void print_waiting(struct replay *replay, struct trace_thread *thread, uint64_t now)
{
	struct trace_stack *stack = &thread->stack;

	for (uint32_t i = stack->untrusted; i < stack->depth; i++) {
		struct trace_frame *frame = &stack->frames[i];

		if (lasted(frame, now) < replay->read->filter.threshold)
			break;
		if (!hidden(frame) && !printed(frame))
			print_open(replay, thread, frame);
	}
}

/*
 * Does the record that follows an entry in its thread end that call, @frame, at once? @next gets it. A
 * mark of a tail call in between is taken out. Returns -1 for no, or the lowest frame it closes.
 */
static int64_t ends_at_once(struct replay *replay, struct trace_thread *thread,
			    struct trace_frame *frame, struct trace_record *next)
{
	if (!trace_merge_peek(&replay->merge, next))
		return -1;
	if (next->event == FTRACE_EVENT_EXTENDED && next->site == FTRACE_EXT_TAIL) {
		frame->flags |= TRACE_FRAME_TAIL;
		trace_merge_take(&replay->merge);
		if (!trace_merge_peek(&replay->merge, next))
			return -1;
	}
	if (next->event != FTRACE_EVENT_EXIT)
		return -1;
	/* An event in between has a line of its own. */
	if (replay->feed) {
		size_t n;

		struct trace_event **events = trace_feed_events(replay->feed, next, &n);

		if (n && !replay_args_take(replay, thread, next, events, n))
			return -1;
	}
	return trace_stack_find(&thread->stack, next->site);
}

static void entry(struct replay *replay, struct trace_thread *thread, const struct trace_record *r)
{
	struct trace_stack *stack = &thread->stack;
	const struct trace_filter *filter = &replay->read->filter;
	struct trace_record next;
	struct trace_frame *frame;
	unsigned verdict = trace_verdict(verdicts_of(replay, r->process), r->site);
	int64_t closed;

	frame = trace_stack_push(stack, r->site, r->time, verdict, filter);
	if (!frame) {
		/* Millions of calls that never returned: forget the upper half. */
		trace_warn("thread %u: more than %u calls open; the innermost are forgotten", r->tid,
			   stack->depth);
		while (stack->depth > TRACE_STACK_MAX / 2)
			trace_stack_pop(stack);
		frame = trace_stack_push(stack, r->site, r->time, verdict, filter);
		if (!frame)
			exit(cmd_error("thread %u: no memory for its stack", r->tid));
	}
	replay_args_call(thread, r, stack->depth - 1);
	if (hidden(frame))
		return;
	if (replay->flat) {
		replay_line_flat(replay, thread, frame, 1);
		return;
	}
	if (filter->threshold)
		return;
	closed = ends_at_once(replay, thread, frame, &next);
	if (closed < 0) {
		print_open(replay, thread, frame);
		return;
	}
	/* Of a caller's exit, the value is the caller's. */
	if (closed == stack->depth - 1)
		replay_args_return(thread, &next);
	replay_line_leaf(replay, thread, frame, r->time, lasted(frame, next.time),
			 closed == stack->depth - 1 ? replay_args_of_return(thread) : NULL);
	trace_stack_pop(stack);
	/* An exit of this very call is done with; one of a caller closes that, too. */
	if (closed == stack->depth)
		trace_merge_take(&replay->merge);
}

static void handle(struct replay *replay, const struct trace_record *r)
{
	struct trace_thread *thread = trace_thread_get(&replay->threads, r->process, r->tid);
	struct trace_stack *stack;
	struct trace_frame *frame;
	int64_t i;

	if (!thread)
		exit(cmd_error("thread %u: no memory", r->tid));
	stack = &thread->stack;
	thread->user[0] = r->time;
	switch (r->event) {
	case FTRACE_EVENT_ENTRY:
		entry(replay, thread, r);
		return;
	case FTRACE_EVENT_EXIT:
		i = trace_stack_find(stack, r->site);
		replay_args_return(thread, r);
		if (i >= 0)
			close_frames(replay, thread, i, r->time, replay_args_of_return(thread));
		return;
	case FTRACE_EVENT_FUNCTION:
		if (replay->read->filter.threshold)
			return;
		frame = trace_stack_push(stack, r->site, r->time,
					 trace_verdict(verdicts_of(replay, r->process), r->site),
					 &replay->read->filter);
		if (!frame)
			return;
		replay_args_call(thread, r, stack->depth - 1);
		if (!hidden(frame) && replay->flat)
			replay_line_flat(replay, thread, frame, 0);
		else if (!hidden(frame))
			replay_line_point(replay, thread, frame);
		trace_stack_pop(stack);
		return;
	case FTRACE_EVENT_EXTENDED:
		if (r->site == FTRACE_EXT_TAIL && stack->depth)
			stack->frames[stack->depth - 1].flags |= TRACE_FRAME_TAIL;
		i = r->site == FTRACE_EXT_LEFT ? trace_stack_left(stack) : -1;
		if (i >= 0)
			close_frames(replay, thread, i, r->time, NULL);
		return;
	case TRACE_LOST:
		if (replay->read->filter.threshold)
			print_waiting(replay, thread, r->time);
		replay_line_lost(replay, thread, r->time, r->lost);
		trace_stack_distrust(stack);
		return;
	}
}

/* Events until @time. */
static void events_until(struct replay *replay, uint64_t time)
{
	struct trace_event *event;

	while ((event = trace_feed_oldest(replay->feed, time))) {
		struct trace_thread *thread = trace_thread_get(&replay->threads, event->process, event->tid);
		const struct trace_stack *stack;
		unsigned level = 0;

		if (!thread)
			exit(cmd_error("thread %u: no memory", event->tid));
		if (replay_args_note(replay, thread, event))
			continue;
		if (event->site &&
		    trace_verdict(verdicts_of(replay, event->process), event->site) & TRACE_HIDDEN)
			continue;
		stack = &thread->stack;
		for (uint32_t i = stack->depth; i-- && !level;)
			if (!hidden(&stack->frames[i]))
				level = stack->frames[i].level + 1;
		replay_line_event(replay, thread, event, level);
	}
}

static int run(struct replay *replay)
{
	struct trace_recording *recording = replay->recording;
	struct cmd_read *read = replay->read;
	struct trace_record record;
	unsigned long count = 0;

	replay->verdicts = calloc(recording->nprocesses + 1, sizeof(*replay->verdicts));
	if (!replay->verdicts)
		return cmd_error("%s: no memory", read->dir);
	if (trace_merge_open(&replay->merge, recording, NULL, &read->select))
		return 1;
	if (trace_has_events(recording)) {
		replay->feed = trace_feed_open(recording, &read->select);
		if (!replay->feed)
			return cmd_error("%s: no memory for its events", read->dir);
		replay_args_open(replay);
	}
	replay_header(replay);
	while (trace_merge_record(&replay->merge, &record)) {
		if (replay->feed)
			events_until(replay, record.time);
		handle(replay, &record);
		if (++count % 65536 == 0) {
			out_flush_if_old();
			if (!replay->lines)
				trace_progress("searching", replay->merge.bytes, recording->size);
		}
	}
	if (replay->feed)
		events_until(replay, UINT64_MAX);
	for (size_t i = 0; read->filter.threshold && i < replay->threads.size; i++)
		if (replay->threads.slots[i])
			print_waiting(replay, replay->threads.slots[i],
				      replay->threads.slots[i]->user[0]);
	out_flush();
	trace_progress_end();
	trace_feed_close(replay->feed);
	free(replay->text);
	trace_merge_close(&replay->merge);
	replay_args_close(replay);
	trace_threads_free(&replay->threads);
	for (size_t i = 0; i < recording->nprocesses; i++)
		trace_verdicts_free(&replay->verdicts[i]);
	free(replay->verdicts);
	trace_warnings_done();
	return 0;
}

int cmd_replay(int argc, char **argv)
{
	struct trace_recording recording;
	struct cmd_read read;
	struct replay replay = { .read = &read, .recording = &recording };
	struct cmd_getopt g;
	const char *tracer;
	int key, status;

	cmd_read_init(&read);
	cmd_getopt_init(&g, &usage, argc, argv, 1);
	while ((key = cmd_getopt(&g)) != -1) {
		if (cmd_read_option(&read, &g, key))
			continue;
		if (key == KEY_ABS_TIME)
			replay.abs_time = 1;
		else if (key == KEY_FLAT)
			replay.flat = 1;
		else if (key == KEY_TAIL)
			replay.tail = 1;
		else if (key == KEY_NO_ARGS)
			replay.no_args = 1;
	}
	if (optind < argc)
		return cmd_bad_use("replay", "%s: replay takes no arguments; a recording is named with -i",
				   argv[optind]);
	if (replay.flat && read.threshold_ns)
		return cmd_bad_use("replay", "--flat shows no returns, so that -t has no durations to look at");
	if (cmd_read_open(&read, &recording)) {
		cmd_read_free(&read);
		return 1;
	}
	tracer = trace_info_get(&recording.info, "tracer");
	if (tracer && !strcmp(tracer, "function") && !read.threshold_ns)
		replay.flat = 1;
	cmd_color_init(read.color);
	cmd_pager(read.pager);
	status = run(&replay);
	trace_close(&recording);
	cmd_read_free(&read);
	return status;
}
