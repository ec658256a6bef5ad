/* SPDX-License-Identifier: MIT */
/*
 * Events with payload: what dynamic events (kprobe_events) and their triggers record.
 *
 * They go to rings of their own, whose packets have stream_id FTRACE_STREAM_EVENTS and whose stream
 * files are called events-K: a second stream class of the CTF trace. Packets are those of
 * <ftrace/trace-format.h>. An event is a header of 64 bits and a payload as long as the header says;
 * each begins at a multiple of 64 bits:
 *
 *	u32 tick	low half of the tick counter
 *	u16 id		which event, enum ftrace_event_id; the lowest bit: its payload is not complete
 *	u16 bytes	of payload
 *
 * A writer takes its place by the header alone, with an id that says "incomplete", fills the payload in,
 * and stores the header again without that bit. So a signal handler that comes in between knows where
 * the event ends and writes behind it, and a handler that never returns leaves an event that is
 * marked, and of known length. The slot behind the last event is unwritten, as in trace-format.h.
 *
 * The process map (trace-format.h) describes events, a line each:
 *
 *	e ID KIND GROUP NAME [FIELD=TYPE]...
 *
 * ID as in the header, hexadecimal. KIND: p a probe (USDT, too), f the entry of a function, r its return. FIELD names
 * are C identifiers. TYPE: u8 u16 u32 u64, s8 ..., x8 ... (to be shown in hexadecimal), char, f32, f64,
 * symbol, symstr (addresses, of 64 bits in the payload), string; each but string with [N] behind it for an
 * array. Fields are in the payload in that order behind struct ftrace_event_head, each aligned to its
 * size (strings not at all), strings with their NUL.
 */
#ifndef FTRACE_TRACE_EVENT_H
#define FTRACE_TRACE_EVENT_H

#include <ftrace/trace-format.h>

/* stream_id of a packet, and of a ring. */
enum {
	FTRACE_STREAM_RECORDS = 0,
	FTRACE_STREAM_EVENTS = 1,
};

enum ftrace_event_id {
	FTRACE_EVENT_INCOMPLETE = 1,	/* a bit of every id */
	FTRACE_EVENT_PADDING = 2,	/* no event: room that was not needed */
	FTRACE_EVENT_STACK = 4,		/* a stack trace, struct ftrace_event_stack */
	FTRACE_EVENT_FIRST = 16,	/* the first that is defined at run time; even numbers from here */
	FTRACE_EVENT_LAST = 0xfffc,
};

#define FTRACE_EVENT_ARGS_GROUP	"args"	/* of the events that are arguments and results of calls */
#define FTRACE_EVENT_MAX_ARGS	32u	/* fields of a definition: one bit each in faults */
#define FTRACE_EVENT_MAX_STRING	1024u	/* bytes of a string, with its NUL; longer ones are cut off */
#define FTRACE_EVENT_MAX_ARRAY	64u	/* elements, as in the kernel */
#define FTRACE_EVENT_MAX_STACK	64u	/* addresses of a stack trace */

/* What the payload of a defined event begins with. */
struct ftrace_event_head {
	uint32_t func;		/* site id; 0: none, a probe elsewhere */
	uint32_t faults;	/* bit n: field n could not be read; it is 0, or an empty string */
	uint64_t ip;		/* p, f: the address probed; r: where the function returns to */
};

/* Payload of FTRACE_EVENT_STACK; ips[n] behind it, the innermost first. */
struct ftrace_event_stack {
	uint32_t event;		/* id of the event that was hit just before, 0: none */
	uint32_t n;
};

static inline uint64_t ftrace_event_header(uint32_t tick, uint32_t id, uint32_t bytes)
{
	uint32_t rest = FTRACE_RECORD_ID_AT ? bytes << 16 | id : id << 16 | bytes;

	return (uint64_t)tick << FTRACE_RECORD_TICK_AT | (uint64_t)rest << FTRACE_RECORD_ID_AT;
}

static inline uint32_t ftrace_event_id(uint64_t header)
{
	uint32_t rest = (uint32_t)(header >> FTRACE_RECORD_ID_AT);

	return FTRACE_RECORD_ID_AT ? rest & 0xffff : rest >> 16;
}

static inline uint32_t ftrace_event_bytes(uint64_t header)
{
	uint32_t rest = (uint32_t)(header >> FTRACE_RECORD_ID_AT);

	return FTRACE_RECORD_ID_AT ? rest >> 16 : rest & 0xffff;
}

/* 64-bit words that the payload takes. */
static inline uint32_t ftrace_event_words(uint64_t header)
{
	return (ftrace_event_bytes(header) + 7) / 8;
}

#endif /* FTRACE_TRACE_EVENT_H */
