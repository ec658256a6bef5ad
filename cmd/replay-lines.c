/* SPDX-License-Identifier: MIT */
/* The lines of ftrace replay. */
#include <stdlib.h>

#include "cmd/color.h"
#include "cmd/output.h"
#include "cmd/replay.h"

#define INDENT		2
#define MAX_INDENT	100	/* levels; a recursion half a million deep needs no line that long */
#define FAR		20	/* lines between { and } from which on the } says whose it is */

static const char *name_of(const struct replay *replay, const struct trace_thread *thread,
			   uint32_t site)
{
	return trace_map_name(thread->process->map, site, replay->read->raw_names);
}

void replay_header(struct replay *replay)
{
	const char *time = replay->abs_time ? "                   " : "";
	unsigned pad;

	replay->thread_width = 7;
	out(cmd_color(COLOR_DIM));
	if (replay->flat) {
		out("# tracer: function\n"
		    "#\n"
		    "#            TASK-TID          TIMESTAMP  FUNCTION\n"
		    "#               | |                |         |\n");
	} else {
		out("# tracer: function_graph\n#\n#");
		if (replay->abs_time)
			out("     TIME          ");
		pad = replay->thread_width - 3;
		out_repeat(' ', pad);
		out("TID  DURATION                  FUNCTION CALLS\n#");
		out(replay->abs_time ? "      |            " : time);
		out_repeat(' ', pad);
		out(" |    |   |                     |   |   |   |\n");
	}
	out(cmd_color(COLOR_NONE));
}

static void put_time(const struct replay *replay, uint64_t ticks)
{
	uint64_t ns = trace_mono_ns(&replay->recording->clock, ticks);

	out_number(ns / 1000000000, 6, ' ');
	out_char('.');
	out_number(ns % 1000000000, 9, '0');
}

static void put_task(const struct trace_thread *thread)
{
	out(thread->process->header.comm[0] ? thread->process->header.comm : "?");
	out_char('-');
	out_number(thread->tid, 0, ' ');
}

static void put_separator(struct replay *replay, struct trace_thread *thread)
{
	out(cmd_color(COLOR_DIM));
	out(" ------------------------------------------\n ");
	out_number(thread->tid, replay->thread_width, ' ');
	out(")  ");
	put_task(replay->shown);
	out("  =>  ");
	put_task(thread);
	out("\n ------------------------------------------\n");
	out(cmd_color(COLOR_NONE));
	replay->lines += 3;
}

/* What every line begins with: a word if the thread is another one, the time, the thread. */
static void begin(struct replay *replay, struct trace_thread *thread, uint64_t now)
{
	if (replay->shown != thread && replay->shown)
		put_separator(replay, thread);
	replay->shown = thread;
	replay->lines++;
	if (replay->abs_time) {
		out_char(' ');
		put_time(replay, now);
		out(" |");
	}
	out_char(' ');
	out_number(thread->tid, replay->thread_width, ' ');
	out(") ");
}

static char mark_of(uint64_t ns)
{
	static const struct {
		uint64_t above;
		char mark;
	} marks[] = {
		{ 1000000000, '$' }, { 100000000, '@' }, { 10000000, '*' },
		{ 1000000, '#' }, { 100000, '!' }, { 10000, '+' },
	};

	for (unsigned i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (ns > marks[i].above)
			return marks[i].mark;
	return ' ';
}

static void no_duration(void)
{
	out("              |  ");
}

/* Seven columns of microseconds, as many decimals as fit, like the kernel's. */
static void put_duration(struct replay *replay, uint64_t ticks)
{
	uint64_t ns = trace_ns(&replay->recording->clock, ticks), rest = ns % 1000;
	char mark = mark_of(ns);
	unsigned columns;

	if (mark != ' ')
		out(cmd_color(mark == '+' || mark == '!' || mark == '#' ? COLOR_WARM : COLOR_HOT));
	out_char(mark);
	out_char(' ');
	columns = out_number(ns / 1000, 0, ' ');
	if (columns < 7) {
		unsigned decimals = 7 - columns < 3 ? 7 - columns : 3;

		out_char('.');
		for (unsigned i = decimals; i < 3; i++)
			rest /= 10;
		out_number(rest, decimals, '0');
		columns += 1 + decimals;
	}
	out(" us ");
	if (columns < 8)
		out_repeat(' ', 8 - columns);
	if (mark != ' ')
		out(cmd_color(COLOR_NONE));
	out("|  ");
}

static void put_indent(const struct trace_frame *frame)
{
	out_repeat(' ', INDENT * (frame->level < MAX_INDENT ? frame->level : MAX_INDENT));
}

static void put_name(const struct replay *replay, const struct trace_thread *thread,
		     const struct trace_frame *frame)
{
	out(cmd_color(COLOR_NAME));
	out(name_of(replay, thread, frame->site));
	out(cmd_color(COLOR_NONE));
}

/* "name(values)" */
static void put_call(const struct replay *replay, const struct trace_thread *thread, const struct trace_frame *frame)
{
	const char *values = replay_args_of_call(thread, frame);

	put_name(replay, thread, frame);
	out_char('(');
	if (values) {
		out(cmd_color(COLOR_VALUE));
		out(values);
		out(cmd_color(COLOR_NONE));
	}
	out_char(')');
}

static void put_return(const char *ret)
{
	if (!ret)
		return;
	out(" = ");
	out(cmd_color(COLOR_VALUE));
	out(ret);
	out(cmd_color(COLOR_NONE));
	out_char(';');
}

void replay_line_open(struct replay *replay, struct trace_thread *thread,
		      const struct trace_frame *frame)
{
	begin(replay, thread, frame->start);
	no_duration();
	put_indent(frame);
	put_call(replay, thread, frame);
	out(" {\n");
}

void replay_line_leaf(struct replay *replay, struct trace_thread *thread,
		      const struct trace_frame *frame, uint64_t now, uint64_t ticks, const char *ret)
{
	begin(replay, thread, now);
	put_duration(replay, ticks);
	put_indent(frame);
	put_call(replay, thread, frame);
	put_return(ret);
	out(ret ? "\n" : ";\n");
}

void replay_line_close(struct replay *replay, struct trace_thread *thread,
		       const struct trace_frame *frame, uint64_t now, uint64_t ticks, int trusted, const char *ret)
{
	int name = replay->tail || !trusted || replay->lines - frame->data > FAR ||
		   (replay->shown != thread && replay->shown);

	begin(replay, thread, now);
	if (trusted)
		put_duration(replay, ticks);
	else
		no_duration();
	put_indent(frame);
	out_char('}');
	put_return(ret);
	if (name) {
		out(cmd_color(COLOR_DIM));
		out(" /* ");
		out(name_of(replay, thread, frame->site));
		out(" */");
		out(cmd_color(COLOR_NONE));
	}
	out_char('\n');
}

void replay_line_point(struct replay *replay, struct trace_thread *thread,
		       const struct trace_frame *frame)
{
	begin(replay, thread, frame->start);
	no_duration();
	put_indent(frame);
	put_call(replay, thread, frame);
	out(";\n");
}

/* The beginning of a line of the function tracer's look: who and when. */
static void begin_flat(struct replay *replay, const struct trace_thread *thread, uint64_t time)
{
	replay->lines++;
	out_right(thread->process->header.comm[0] ? thread->process->header.comm : "?", 16);
	out_char('-');
	for (unsigned n = out_number(thread->tid, 0, ' '); n < 7; n++)
		out_char(' ');
	out_char(' ');
	put_time(replay, time);
	out(": ");
}

/* The text of @event, good until the next. */
static const char *event_text(struct replay *replay, const struct trace_event *event)
{
	size_t len = trace_event_text(event, replay->read->raw_names, replay->text, replay->text_size);

	if (len >= replay->text_size) {
		char *more = realloc(replay->text, len + 1);

		if (!more)
			return "[no memory for an event]";
		replay->text = more;
		replay->text_size = len + 1;
		trace_event_text(event, replay->read->raw_names, replay->text, replay->text_size);
	}
	return replay->text;
}

void replay_line_event(struct replay *replay, struct trace_thread *thread,
		       const struct trace_event *event, unsigned level)
{
	const struct trace_frame place = { .level = level };
	int lost = event->state == TRACE_EVENT_LOST;

	if (replay->flat) {
		begin_flat(replay, thread, event->time);
		out(cmd_color(lost ? COLOR_LOST : COLOR_NONE));
		out(event_text(replay, event));
	} else {
		begin(replay, thread, event->time);
		no_duration();
		put_indent(&place);
		out(cmd_color(lost ? COLOR_LOST : COLOR_DIM));
		out("/* ");
		out(event_text(replay, event));
		out(" */");
	}
	out(cmd_color(COLOR_NONE));
	out_char('\n');
}

void replay_line_lost(struct replay *replay, struct trace_thread *thread, uint64_t now,
		      uint64_t count)
{
	if (!replay->flat) {
		begin(replay, thread, now);
		no_duration();
	}
	out(cmd_color(COLOR_LOST));
	if (replay->flat) {
		out("THREAD:");
		out_number(thread->tid, 0, ' ');
		out_char(' ');
	}
	out("[LOST ");
	if (count) {
		out_number(count, 0, ' ');
		out_char(' ');
	}
	out("EVENTS]");
	out(cmd_color(COLOR_NONE));
	out_char('\n');
	replay->lines++;
}

void replay_line_flat(struct replay *replay, struct trace_thread *thread,
		      const struct trace_frame *frame, int parent)
{
	const struct trace_stack *stack = &thread->stack;

	begin_flat(replay, thread, frame->start);
	if (replay_args_of_call(thread, frame))
		put_call(replay, thread, frame);
	else
		put_name(replay, thread, frame);
	if (parent && stack->depth > 1 && stack->frames + stack->depth - 1 == frame) {
		out(" <-");
		out(name_of(replay, thread, frame[-1].site));
	}
	out_char('\n');
}
