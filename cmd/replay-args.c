/* SPDX-License-Identifier: MIT */
/*
 * Values of calls beside their lines. An event comes just before the record of the call or return that it belongs to;
 * the text of a call's arguments is kept with the frame until its line is printed.
 */
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/replay.h"
#include "reader/arguments.h"

#define MAX_TEXT	(16u << 10)	/* of all values of a call */

/* What was noted of a thread's call or return to come. */
struct noted {
	char *text;
	uint32_t site;
};

/* Of a thread. */
struct replay_texts {
	char **call;		/* of its frames, by their depth */
	size_t size;
	char *ret;		/* of the return at hand */
	struct noted next_call, next_ret;
};

void replay_args_open(struct replay *replay)
{
	replay->arguments = trace_arguments_open(replay->recording);
}

static struct replay_texts *texts_of(const struct trace_thread *thread)
{
	return (struct replay_texts *)(uintptr_t)thread->user[1];
}

void replay_args_close(struct replay *replay)
{
	for (size_t i = 0; i < replay->threads.size; i++) {
		struct trace_thread *thread = replay->threads.slots[i];
		struct replay_texts *t = thread ? texts_of(thread) : NULL;

		if (!t)
			continue;
		for (size_t k = 0; k < t->size; k++)
			free(t->call[k]);
		free(t->call);
		free(t->ret);
		free(t->next_call.text);
		free(t->next_ret.text);
		free(t);
	}
	trace_arguments_close(replay->arguments);
}

/* Room for a frame at @depth. */
static struct replay_texts *make_texts(struct trace_thread *thread, size_t depth)
{
	struct replay_texts *t = texts_of(thread);

	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			exit(cmd_error("thread %u: no memory for values of its calls", thread->tid));
		thread->user[1] = (uintptr_t)t;
	}
	if (depth >= t->size) {
		size_t size = depth < 32 ? 64 : depth * 2;
		char **call = reallocarray(t->call, size, sizeof(*call));

		if (!call)
			exit(cmd_error("thread %u: no memory for values of its calls", thread->tid));
		memset(call + t->size, 0, (size - t->size) * sizeof(*call));
		t->call = call;
		t->size = size;
	}
	return t;
}

static void note(struct noted *noted, char *text, uint32_t site)
{
	free(noted->text);
	noted->text = text;
	noted->site = site;
}

/* What was noted, if it is for @site; else it is for nobody. */
static char *take(struct noted *noted, uint32_t site)
{
	char *text = noted->text;

	noted->text = NULL;
	if (text && noted->site != site) {
		free(text);
		text = NULL;
	}
	return text;
}

int replay_args_note(struct replay *replay, struct trace_thread *thread, const struct trace_event *event)
{
	static char buf[MAX_TEXT];
	struct replay_texts *t;

	if (!trace_arguments_has(replay->arguments, event))
		return 0;
	if (replay->no_args)
		return 1;
	t = make_texts(thread, 0);
	trace_process_map(replay->recording, event->process);
	trace_arguments_text(replay->arguments, event, replay->read->raw_names, buf, sizeof(buf));
	note(event->class->kind == 'r' ? &t->next_ret : &t->next_call, strdup(buf), event->site);
	return 1;
}

int replay_args_take(struct replay *replay, struct trace_thread *thread, const struct trace_record *next,
		     struct trace_event **events, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!trace_arguments_has(replay->arguments, events[i]) || events[i]->class->kind != 'r' ||
		    events[i]->site != next->site)
			return 0;
	for (size_t i = 0; i < n; i++)
		replay_args_note(replay, thread, events[i]);
	trace_feed_drop(replay->feed, next);
	return 1;
}

void replay_args_call(struct trace_thread *thread, const struct trace_record *r, uint32_t depth)
{
	struct replay_texts *t = texts_of(thread);

	if (!t)
		return;
	make_texts(thread, depth);
	free(t->call[depth]);
	t->call[depth] = take(&t->next_call, r->site);
	note(&t->next_ret, NULL, 0);
}

void replay_args_return(struct trace_thread *thread, const struct trace_record *r)
{
	struct replay_texts *t = texts_of(thread);

	if (!t)
		return;
	free(t->ret);
	t->ret = take(&t->next_ret, r->site);
	note(&t->next_call, NULL, 0);
}

const char *replay_args_of_call(const struct trace_thread *thread, const struct trace_frame *frame)
{
	const struct replay_texts *t = texts_of(thread);
	size_t depth = (size_t)(frame - thread->stack.frames);

	return t && depth < t->size ? t->call[depth] : NULL;
}

const char *replay_args_of_return(const struct trace_thread *thread)
{
	const struct replay_texts *t = texts_of(thread);

	return t ? t->ret : NULL;
}
