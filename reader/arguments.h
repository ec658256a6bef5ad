/* SPDX-License-Identifier: MIT */
/*
 * How values of calls and returns are shown: the file "arguments" of a recording, which `ftrace record -A, -R, -a`
 * writes. A line each:
 *
 *	# libftrace arguments 1
 *	call EVENT SYMBOL TEXT		event args:EVENT is hit when SYMBOL is called; TEXT goes between its brackets
 *	return EVENT SYMBOL TEXT	... when it returns
 *	enum NUMBER NAME:MASK:VALUE...	names of numbers (hexadecimal): of whole ones where MASK is all ones, else of parts
 *
 * In TEXT stand for a field of the event:
 *
 *	%{FIELD:KIND}		its value; KIND is a letter, then BITS or BITS@SHIFT where only these are meant:
 *				d signed, u unsigned, x hexadecimal, o octal, c letter, b true or false, f floating point,
 *				p pointer, y function, e,NUMBER of that enumeration
 *	%{FIELD:s,POINTER}	text, unless POINTER is NULL
 *	%{FIELD:S,LENGTH}	text of that many bytes; LENGTH is a field, or #N
 *	%{LOW:I,HIGH}		signed of two words; U: unsigned, L: x87's long double
 *	%[FIELD&MASK: ... %]	what is in between only if FIELD has any of these bits
 */
#ifndef TRACE_ARGUMENTS_H
#define TRACE_ARGUMENTS_H

#include <stddef.h>

#include "reader/events.h"

#define TRACE_ARGUMENTS_FILE	"arguments"
#define TRACE_ARGUMENTS_HEAD	"# libftrace arguments 1\n"

struct trace_arguments;

/* Read them. NULL: the recording has none; damaged lines are left out with a warning. */
struct trace_arguments *trace_arguments_open(const struct trace_recording *recording);
void trace_arguments_close(struct trace_arguments *args);	/* NULL too */

/* Is @event one of them, so that trace_arguments_text() shows it? */
int trace_arguments_has(const struct trace_arguments *args, const struct trace_event *event);

/*
 * The text of @event in @buf, at most @size bytes with its NUL: what stands between the brackets, or the value
 * returned. @raw: names are not demangled. Returns the length of the whole, as snprintf().
 */
size_t trace_arguments_text(const struct trace_arguments *args, const struct trace_event *event, int raw, char *buf,
			    size_t size);

#endif /* TRACE_ARGUMENTS_H */
