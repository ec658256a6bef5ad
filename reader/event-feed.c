/* SPDX-License-Identifier: MIT */
/* Events beside records: a queue a thread of events that came before the record at hand. */
#include <stdlib.h>
#include <string.h>

#include "reader/events.h"
#include "reader/threads.h"

struct queue {
	struct trace_event **events;
	size_t n, room;
};

struct trace_feed {
	struct trace_events *events;
	struct trace_event next;	/* the first not in any queue */
	int has_next;
	struct trace_threads threads;	/* user[0]: their queues */
	size_t waiting;			/* events in all queues */
	struct trace_event *given;	/* by trace_feed_oldest() */
};

/* A copy that stays, in one piece of memory. */
static struct trace_event *copy_of(const struct trace_event *event)
{
	size_t values = event->nvalues * sizeof(*event->values);
	size_t stack = event->nstack * sizeof(*event->stack), bytes = 0;
	struct trace_event *copy;
	char *p;

	for (size_t i = 0; i < event->nvalues; i++) {
		const struct trace_value *v = &event->values[i];
		const char *s = (const char *)v->raw;

		if (v->field->type == TRACE_FIELD_STRING)
			for (unsigned k = 0; k < (v->field->count ? v->field->count : 1); k++) {
				bytes += strlen(s) + 1;
				s += strlen(s) + 1;
			}
		else
			bytes += v->field->size * (v->field->count ? v->field->count : 1);
	}
	copy = malloc(sizeof(*copy) + values + stack + bytes);
	if (!copy)
		return NULL;
	*copy = *event;
	p = (char *)(copy + 1);
	copy->values = values ? memcpy(p, event->values, values) : NULL;
	p += values;
	copy->stack = stack ? memcpy(p, event->stack, stack) : NULL;
	p += stack;
	for (size_t i = 0; i < event->nvalues; i++) {
		struct trace_value *v = &copy->values[i];
		const char *s = (const char *)v->raw;
		size_t n = 0;

		if (v->field->type == TRACE_FIELD_STRING)
			for (unsigned k = 0; k < (v->field->count ? v->field->count : 1); k++)
				n += strlen(s + n) + 1;
		else
			n = v->field->size * (v->field->count ? v->field->count : 1);
		v->raw = memcpy(p, v->raw, n);
		if (v->field->type == TRACE_FIELD_STRING)
			v->string = p;
		p += n;
	}
	return copy;
}

static struct queue *queue_of(struct trace_feed *feed, const struct trace_process *process,
			      uint32_t tid)
{
	struct trace_thread *thread = trace_thread_get(&feed->threads, process, tid);
	struct queue *q = thread ? (struct queue *)(uintptr_t)thread->user[0] : NULL;

	if (thread && !q) {
		q = calloc(1, sizeof(*q));
		thread->user[0] = (uintptr_t)q;
	}
	return q;
}

/* Everything up to @time goes to its thread's queue. */
static void read_until(struct trace_feed *feed, uint64_t time)
{
	while (feed->has_next && feed->next.time <= time) {
		struct queue *q = queue_of(feed, feed->next.process, feed->next.tid);
		struct trace_event *copy = q ? copy_of(&feed->next) : NULL;

		if (q && q->n == q->room) {
			size_t room = q->room ? q->room * 2 : 8;
			void *more = reallocarray(q->events, room, sizeof(*q->events));

			if (more) {
				q->events = more;
				q->room = room;
			} else {
				free(copy);
				copy = NULL;
			}
		}
		if (copy) {
			q->events[q->n++] = copy;
			feed->waiting++;
		}
		feed->has_next = trace_events_next(feed->events, &feed->next);
	}
}

struct trace_feed *trace_feed_open(struct trace_recording *recording,
				   const struct trace_select *select)
{
	struct trace_feed *feed = calloc(1, sizeof(*feed));

	if (!feed)
		return NULL;
	feed->events = trace_events_open(recording, NULL, select);
	if (!feed->events) {
		free(feed);
		return NULL;
	}
	feed->has_next = trace_events_next(feed->events, &feed->next);
	return feed;
}

void trace_feed_close(struct trace_feed *feed)
{
	if (!feed)
		return;
	for (size_t i = 0; i < feed->threads.size; i++) {
		struct trace_thread *thread = feed->threads.slots[i];
		struct queue *q = thread ? (struct queue *)(uintptr_t)thread->user[0] : NULL;

		for (size_t k = 0; q && k < q->n; k++)
			free(q->events[k]);
		if (q)
			free(q->events);
		free(q);
	}
	trace_threads_free(&feed->threads);
	trace_events_close(feed->events);
	free(feed->given);
	free(feed);
}

static int belongs_to(const struct trace_event *event, const struct trace_record *record)
{
	if (event->state == TRACE_EVENT_LOST || !event->class || event->site != record->site)
		return 0;
	switch (record->event) {
	case FTRACE_EVENT_ENTRY:
	case FTRACE_EVENT_FUNCTION:
		return event->class->kind == 'p' || event->class->kind == 'f';
	case FTRACE_EVENT_EXIT:
		return event->class->kind == 'r';
	}
	return 0;
}

/* Events of @q not later than @time: they are the first ones. */
static size_t count_until(const struct queue *q, uint64_t time)
{
	size_t n = 0;

	while (n < q->n && q->events[n]->time <= time)
		n++;
	return n;
}

struct trace_event **trace_feed_events(struct trace_feed *feed, const struct trace_record *record,
				       size_t *n)
{
	struct queue *q;
	int attached = 1;

	*n = 0;
	read_until(feed, record->time);
	if (!feed->waiting)
		return NULL;
	q = queue_of(feed, record->process, record->tid);
	if (!q || !q->n)
		return NULL;
	*n = count_until(q, record->time);
	for (size_t i = *n; i--;) {
		struct trace_event *event = q->events[i];

		/* A stack trace is what a trigger of the event before it has written. */
		attached = attached && (belongs_to(event, record) ||
					(event->class && event->class->kind == 's'));
		event->attached = attached;
	}
	/* ... which a stack trace without such an event is not. */
	for (size_t i = 0; i < *n; i++) {
		if (!q->events[i]->attached)
			continue;
		if (q->events[i]->class->kind != 's')
			break;
		q->events[i]->attached = 0;
	}
	return q->events;
}

void trace_feed_drop(struct trace_feed *feed, const struct trace_record *record)
{
	struct queue *q = feed->waiting ? queue_of(feed, record->process, record->tid) : NULL;
	size_t n = q ? count_until(q, record->time) : 0;

	for (size_t i = 0; i < n; i++)
		free(q->events[i]);
	if (!n)
		return;
	memmove(q->events, q->events + n, (q->n - n) * sizeof(*q->events));
	q->n -= n;
	feed->waiting -= n;
}

struct trace_event *trace_feed_oldest(struct trace_feed *feed, uint64_t time)
{
	struct queue *oldest = NULL;

	free(feed->given);
	feed->given = NULL;
	/* Until @time there may be any number; one at a time is enough. */
	if (!feed->waiting && feed->has_next && feed->next.time <= time)
		read_until(feed, feed->next.time);
	if (!feed->waiting)
		return NULL;
	for (size_t i = 0; i < feed->threads.size; i++) {
		struct trace_thread *thread = feed->threads.slots[i];
		struct queue *q = thread ? (struct queue *)(uintptr_t)thread->user[0] : NULL;

		if (q && q->n && (!oldest || q->events[0]->time < oldest->events[0]->time))
			oldest = q;
	}
	if (!oldest || oldest->events[0]->time > time)
		return NULL;
	feed->given = oldest->events[0];
	memmove(oldest->events, oldest->events + 1, (oldest->n - 1) * sizeof(*oldest->events));
	oldest->n--;
	feed->waiting--;
	return feed->given;
}
