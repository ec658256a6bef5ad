/* SPDX-License-Identifier: MIT */
/* Streams of events, merged by time, and their payload taken apart. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reader/events.h"
#include "reader/message.h"

#define CLASSES		64		/* a thread has few kinds of events at a time, a map may have thousands */

/* One stream file. */
struct source {
	struct trace_cursor c;
	const unsigned char *p, *end;	/* the next event in this packet */
	uint64_t time;			/* its, or of the loss before it */
	int lost;			/* tell of the loss before the packet first */
	const struct trace_event_class *classes[CLASSES];	/* asked for last, by id */
};

struct trace_events {
	struct trace_recording *recording;
	const struct trace_select *select;
	struct source *sources;
	size_t nsources;
	struct source **heap;		/* the earliest first */
	size_t nheap;
	int given;			/* the heap's first was given out and has to move on */
	struct trace_value values[FTRACE_EVENT_MAX_ARGS];
	uint64_t stack[FTRACE_EVENT_MAX_STACK];
};

/* ---- numbers in the file's byte order ---- */

static uint16_t get16(const unsigned char *p, int swapped)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return swapped ? __builtin_bswap16(v) : v;
}

static uint32_t get32(const unsigned char *p, int swapped)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return swapped ? __builtin_bswap32(v) : v;
}

static uint64_t get64(const unsigned char *p, int swapped)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return swapped ? __builtin_bswap64(v) : v;
}

static uint64_t get_size(const unsigned char *p, unsigned size, int swapped)
{
	switch (size) {
	case 1:
		return *p;
	case 2:
		return get16(p, swapped);
	case 4:
		return get32(p, swapped);
	}
	return get64(p, swapped);
}

static void get_scalar(struct trace_value *value, const unsigned char *p)
{
	const struct trace_field *field = value->field;
	unsigned shift = 64 - 8 * field->size;

	value->u = get_size(p, field->size, value->swapped);
	if (field->type == TRACE_FIELD_SIGNED)
		value->u = (uint64_t)((int64_t)(value->u << shift) >> shift);
	if (field->type == TRACE_FIELD_FLOAT && field->size == 4) {
		uint32_t bits = (uint32_t)value->u;
		float f;

		memcpy(&f, &bits, sizeof(f));
		value->f = f;
	} else if (field->type == TRACE_FIELD_FLOAT) {
		memcpy(&value->f, &value->u, sizeof(value->f));
	}
}

void trace_element(const struct trace_value *value, unsigned i, struct trace_value *element)
{
	const unsigned char *p = value->raw;

	*element = *value;
	element->raw = NULL;
	element->string = "";
	if (value->fault || i >= value->field->count)
		return;
	if (value->field->type == TRACE_FIELD_STRING) {
		while (i--)
			p += strlen((const char *)p) + 1;
		element->string = (const char *)p;
	} else {
		get_scalar(element, p + i * value->field->size);
	}
}

/* ---- payload ---- */

/* The string at *@p, which ends before @end; *@p moves behind it. NULL: it does not end. */
static const char *take_string(const unsigned char **p, const unsigned char *end)
{
	const unsigned char *nul = memchr(*p, 0, end - *p), *s = *p;

	if (!nul)
		return NULL;
	*p = nul + 1;
	return (const char *)s;
}

static int take_value(struct trace_value *value, const unsigned char *begin, const unsigned char **p,
		      const unsigned char *end)
{
	const struct trace_field *field = value->field;
	unsigned n = field->count ? field->count : 1;
	size_t pad;

	if (field->type == TRACE_FIELD_STRING) {
		value->raw = *p;
		for (unsigned i = 0; i < n; i++) {
			const char *s = take_string(p, end);

			if (!s)
				return -1;
			if (!i)
				value->string = s;
		}
		return 0;
	}
	pad = -(size_t)(*p - begin) & (field->size - 1);
	if ((size_t)(end - *p) < pad + (size_t)n * field->size)
		return -1;
	*p += pad;
	value->raw = *p;
	*p += (size_t)n * field->size;
	if (!field->count)
		get_scalar(value, value->raw);
	return 0;
}

/* The payload of a defined event. -1: it makes no sense. */
static int take_payload(struct trace_events *events, struct trace_event *event,
			const unsigned char *begin, const unsigned char *end, int swapped)
{
	const unsigned char *p = begin + sizeof(struct ftrace_event_head);
	uint32_t faults;

	if (end - begin < (long)sizeof(struct ftrace_event_head))
		return -1;
	event->site = get32(begin, swapped);
	faults = get32(begin + offsetof(struct ftrace_event_head, faults), swapped);
	event->ip = get64(begin + offsetof(struct ftrace_event_head, ip), swapped);
	for (size_t i = 0; i < event->class->nfields; i++) {
		struct trace_value *value = &events->values[i];

		*value = (struct trace_value){
			.field = &event->class->fields[i], .string = "", .swapped = swapped,
			.fault = faults >> i & 1,
		};
		if (take_value(value, begin, &p, end))
			return -1;
	}
	event->values = events->values;
	event->nvalues = event->class->nfields;
	return 0;
}

static int take_stack(struct trace_events *events, struct trace_event *event,
		      const unsigned char *begin, const unsigned char *end, int swapped)
{
	uint32_t n;

	if (end - begin < (long)sizeof(struct ftrace_event_stack))
		return -1;
	n = get32(begin + offsetof(struct ftrace_event_stack, n), swapped);
	begin += sizeof(struct ftrace_event_stack);
	if (n > FTRACE_EVENT_MAX_STACK || (size_t)(end - begin) < n * sizeof(uint64_t))
		return -1;
	for (uint32_t i = 0; i < n; i++)
		events->stack[i] = get64(begin + i * sizeof(uint64_t), swapped);
	event->stack = events->stack;
	event->nstack = n;
	return 0;
}

static const struct trace_event_class *class_of(struct trace_events *events, struct source *s, uint32_t id)
{
	const struct trace_event_class **class = &s->classes[id / 2 % CLASSES];

	if (!*class || (*class)->id != id)
		*class = trace_map_event(trace_process_map(events->recording, s->c.process), id);
	return *class;
}

/* Event at @s->p into @event. */
static void fill(struct trace_events *events, struct source *s, struct trace_event *event)
{
	int swapped = s->c.swapped, bad = 0;
	const unsigned char *begin = s->p + 8, *end;
	uint32_t id;

	memset(event, 0, sizeof(*event));
	event->time = s->time;
	event->process = s->c.process;
	event->tid = s->c.packet.tid;
	if (s->lost) {
		event->state = TRACE_EVENT_LOST;
		event->lost = s->c.lost;
		return;
	}
	id = get16(s->p + 4, swapped);
	end = begin + get16(s->p + 6, swapped);
	event->id = id & ~(uint32_t)FTRACE_EVENT_INCOMPLETE;
	event->class = class_of(events, s, event->id);
	if (id & FTRACE_EVENT_INCOMPLETE)
		event->state = TRACE_EVENT_INCOMPLETE;
	else if (event->class && event->class->kind == 's')
		bad = take_stack(events, event, begin, end, swapped);
	else if (event->class)
		bad = take_payload(events, event, begin, end, swapped);
	if (bad) {
		trace_warn("%s/%s: an event %s:%s that makes no sense", s->c.process->name,
			   s->c.file->name, event->class->group, event->class->name);
		event->state = TRACE_EVENT_INCOMPLETE;
		event->nvalues = event->nstack = 0;
	}
}

/* ---- the order of time ---- */

static int wants_tid(const struct trace_select *select, uint32_t tid)
{
	for (size_t i = 0; i < select->ntids; i++)
		if (select->tids[i] == tid)
			return 1;
	return !select->ntids;
}

/* To the next packet that may hold something wanted. 0 at the end. */
static int next_packet(struct trace_events *events, struct source *s)
{
	const struct trace_select *select = events->select;
	size_t len;

	for (;;) {
		if (!trace_cursor_packet(&s->c) || s->c.packet.timestamp_begin > select->to)
			return 0;
		if (s->c.packet.timestamp_end < select->from ||
		    !wants_tid(select, s->c.packet.tid))
			continue;
		s->p = trace_cursor_content(&s->c, &len);
		s->end = s->p ? s->p + len : NULL;
		if (s->c.lost || s->c.lost_packets) {
			s->lost = 1;
			if (s->c.packet.timestamp_begin > s->time)
				s->time = s->c.packet.timestamp_begin;
		}
		return 1;
	}
}

static size_t length_of(const struct source *s)
{
	return 8 + ((get16(s->p + 6, s->c.swapped) + 7u) & ~7u);
}

/* From where it is to the first event that is wanted. 0 at the end of the stream. */
static int settle(struct trace_events *events, struct source *s)
{
	for (;;) {
		uint64_t time;

		if (s->lost)
			return 1;
		if (!s->p || s->p >= s->end) {
			if (!next_packet(events, s))
				return 0;
			continue;
		}
		if (length_of(s) > (size_t)(s->end - s->p)) {
			trace_warn("%s/%s: an event that is longer than its packet; the rest of it is left out",
				   s->c.process->name, s->c.file->name);
			s->p = s->end;
			continue;
		}
		time = (s->c.packet.timestamp_begin & ~0xffffffffull) | get32(s->p, s->c.swapped);
		if (time > events->select->to)
			return 0;
		if (time >= events->select->from &&
		    (get16(s->p + 4, s->c.swapped) & ~FTRACE_EVENT_INCOMPLETE) != FTRACE_EVENT_PADDING) {
			/* Damage must not turn time back. */
			if (time > s->time)
				s->time = time;
			return 1;
		}
		s->p += length_of(s);
	}
}

static int before(const struct source *a, const struct source *b)
{
	return a->time != b->time ? a->time < b->time : a < b;
}

static void sift_down(struct trace_events *events, size_t i)
{
	struct source **heap = events->heap, *s = heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= events->nheap)
			break;
		if (child + 1 < events->nheap && before(heap[child + 1], heap[child]))
			child++;
		if (!before(heap[child], s))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = s;
}

static void add_process(struct trace_events *events, struct trace_process *process)
{
	for (size_t i = 0; i < process->nevents; i++) {
		struct source *s = &events->sources[events->nsources];

		if (trace_cursor_open_events(&s->c, events->recording, process, i))
			continue;
		events->nsources++;
		if (settle(events, s))
			events->heap[events->nheap++] = s;
		else
			trace_cursor_close(&s->c);
	}
}

struct trace_events *trace_events_open(struct trace_recording *recording,
				       struct trace_process *process,
				       const struct trace_select *select)
{
	struct trace_events *events = calloc(1, sizeof(*events));
	size_t n = 0;

	for (size_t i = 0; i < recording->nprocesses; i++)
		n += recording->processes[i].nevents;
	if (!events)
		return NULL;
	events->recording = recording;
	events->select = select;
	events->sources = calloc(n + 1, sizeof(*events->sources));
	events->heap = calloc(n + 1, sizeof(*events->heap));
	if (!events->sources || !events->heap) {
		trace_events_close(events);
		return NULL;
	}
	for (size_t i = 0; i < recording->nprocesses; i++) {
		struct trace_process *p = &recording->processes[i];

		if (process ? p == process : trace_select_process(select, p))
			add_process(events, p);
	}
	for (size_t i = events->nheap / 2; i--;)
		sift_down(events, i);
	return events;
}

void trace_events_close(struct trace_events *events)
{
	if (!events)
		return;
	for (size_t i = 0; i < events->nsources; i++)
		trace_cursor_close(&events->sources[i].c);
	free(events->sources);
	free(events->heap);
	free(events);
}

int trace_events_next(struct trace_events *events, struct trace_event *event)
{
	struct source *s = events->nheap ? events->heap[0] : NULL;

	if (events->given) {
		if (s->lost)
			s->lost = 0;
		else
			s->p += length_of(s);
		if (!settle(events, s)) {
			trace_cursor_close(&s->c);
			events->heap[0] = events->heap[--events->nheap];
		}
		if (events->nheap)
			sift_down(events, 0);
		s = events->nheap ? events->heap[0] : NULL;
	}
	events->given = s != NULL;
	if (!s)
		return 0;
	fill(events, s, event);
	return 1;
}

int trace_has_events(const struct trace_recording *recording)
{
	for (size_t i = 0; i < recording->nprocesses; i++)
		if (recording->processes[i].nevents)
			return 1;
	return 0;
}
