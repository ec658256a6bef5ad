/* SPDX-License-Identifier: MIT */
/*
 * Events with payload (<ftrace/trace-event.h>): what they are called, their values, in the order of
 * time, and which of them belong to a call.
 *
 * An event at the entry of a function is written just before the call's entry record
 * (FTRACE_EVENT_ENTRY or _FUNCTION), one at its return just before the exit record, in the same
 * thread, if the call is recorded at all. So whoever goes through the records with
 * trace_merge_record() asks a struct trace_feed, before it handles each one, for the events since
 * the one before.
 */
#ifndef TRACE_EVENTS_H
#define TRACE_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include <ftrace/trace-event.h>

#include "reader/merge.h"

/* ---- definitions, from the process map (event-map.c) ---- */

enum trace_field_type {
	TRACE_FIELD_UNSIGNED,
	TRACE_FIELD_SIGNED,
	TRACE_FIELD_HEX,
	TRACE_FIELD_CHAR,
	TRACE_FIELD_FLOAT,	/* size 4 or 8 */
	TRACE_FIELD_SYMBOL,	/* an address, to be shown as symbol+offset */
	TRACE_FIELD_STRING,
};

struct trace_field {
	const char *name;
	enum trace_field_type type;
	unsigned size;		/* bytes of an element; 0: a string */
	unsigned count;		/* elements of an array; 0: it is none */
};

struct trace_event_class {
	uint32_t id;
	char kind;		/* 'p', 'f', 'r'; 's': a stack trace */
	const char *group, *name;
	struct trace_field *fields;
	size_t nfields;
	uint64_t end;		/* of its line in the map's text, as in struct trace_site */
};

/* The event called @id in @map or in what it inherited; NULL: unknown. */
const struct trace_event_class *trace_map_event(const struct trace_map *map, uint32_t id);

/* Calls @each for all events that @map knows, what it inherited included. */
void trace_map_each_event(const struct trace_map *map,
			  void (*each)(const struct trace_event_class *class, void *data), void *data);

/*
 * The function @address is in, by the sites of @map, as "name+0x1c" (or "name" at its entry); else
 * "object+0x1234"; else "0x1234". @raw: not demangled. Returns @buf.
 */
const char *trace_map_symbol(const struct trace_map *map, uint64_t address, int raw, char *buf,
			     size_t size);

/* ---- events, by time ---- */

struct trace_value {
	const struct trace_field *field;
	int fault;		/* memory it is of could not be read; all else is 0 or "" */
	uint64_t u;		/* of an integer: sign-extended for SIGNED. Of a float: see f */
	double f;
	const char *string;	/* NUL-terminated, as recorded: control characters may be in it */
	const unsigned char *raw;	/* elements of an array, see trace_element() */
	int swapped;
};

struct trace_event {
	uint64_t time;		/* ticks */
	uint64_t lost;		/* TRACE_EVENT_LOST: how many events, 0: unknown */
	struct trace_process *process;
	const struct trace_event_class *class;	/* NULL: of LOST, or not described */
	uint32_t tid;
	uint32_t id;
	uint32_t site;		/* its function; 0: none */
	uint64_t ip;		/* p, f: the address probed; r: where it returns to */
	enum {
		TRACE_EVENT_WHOLE,
		TRACE_EVENT_INCOMPLETE,	/* its writer was interrupted for ever: no values */
		TRACE_EVENT_LOST,	/* events of this stream were lost before this moment */
	} state;
	int attached;		/* set by trace_feed_events() */
	struct trace_value *values;	/* class->nfields of them, if state is WHOLE */
	size_t nvalues;
	const uint64_t *stack;	/* kind 's': addresses, the innermost first */
	size_t nstack;
};

/* Element @i of an array's value as a scalar, in @element. */
void trace_element(const struct trace_value *value, unsigned i, struct trace_value *element);

struct trace_events;

/*
 * All events that @select wants of @process, or with NULL of all selected processes. NULL without memory.
 * Streams that cannot be read are left out with a warning.
 */
struct trace_events *trace_events_open(struct trace_recording *recording,
				       struct trace_process *process,
				       const struct trace_select *select);
void trace_events_close(struct trace_events *events);	/* NULL too */

/* The next event by time. Returns 1, or 0 at the end. Good until the next call. */
int trace_events_next(struct trace_events *events, struct trace_event *event);

/* Does any process of @recording have events? */
int trace_has_events(const struct trace_recording *recording);

/* ---- events beside records ---- */

struct trace_feed;

/* As trace_events_open(). NULL: no memory. */
struct trace_feed *trace_feed_open(struct trace_recording *recording,
				   const struct trace_select *select);
void trace_feed_close(struct trace_feed *feed);		/* NULL too */

/*
 * The events of @record's thread that are not later than @record and were not dropped yet, oldest
 * first; *@n is their number, 0: none. attached is set in those that belong to the call that @record begins
 * (kinds p and f at its function's entry) or ends (kind r): the last ones of them. May also be
 * asked for a record peeked at (trace_merge_peek()). Good until trace_feed_drop() for that thread or
 * trace_feed_close().
 */
struct trace_event **trace_feed_events(struct trace_feed *feed, const struct trace_record *record,
				       size_t *n);

/* Those are done with. */
void trace_feed_drop(struct trace_feed *feed, const struct trace_record *record);

/*
 * Of threads that had no record since: the oldest event that is not later than @time, over all
 * threads; the end: @time UINT64_MAX. It is dropped by the next call. NULL: none.
 */
struct trace_event *trace_feed_oldest(struct trace_feed *feed, uint64_t time);

/* ---- text (event-text.c) ---- */

/*
 * The event in the kernel's form, "GROUP:NAME: (func+0x4) a=1 s="x"", in @buf; a stack trace: "<stack trace>"
 * and the functions, parted by " <- ". Strings are quoted, and escaped as in C; what could not be read is
 * "(fault)". Returns the length of the whole, as snprintf().
 */
size_t trace_event_text(const struct trace_event *event, int raw, char *buf, size_t size);

/* One value likewise, without its name: 3, 0x1f, "a.txt", {1,2,3}, main+0x4, (fault). */
size_t trace_value_text(const struct trace_value *value, const struct trace_map *map, int raw,
			char *buf, size_t size);

#endif /* TRACE_EVENTS_H */
