/* SPDX-License-Identifier: MIT */
/*
 * What the arguments of an event are, at a hit. Two steps, so that a filter can look in between and an
 * event gets as much room as it needs: values, then bytes of the payload.
 */
#ifndef FTRACE_AGENT_FETCH_H
#define FTRACE_AGENT_FETCH_H

#include "agent/probe.h"
#include "engine/peek.h"

struct pt_regs;
struct usdt_site;

#define FETCH_SCRATCH	256u	/* letters of strings that had to be read by the kernel: kept for the second step */

/* Where an event was hit. */
struct fetch_site {
	struct pt_regs *regs;
	const unsigned long *entry_args;	/* a return: the first arguments at the entry; NULL: not known */
	const struct usdt_site *usdt;		/* NULL: it is no USDT probe */
	struct ftrace_peek peek;
	bool ret;
};

/* An argument's value. */
struct fetched {
	u64 v;			/* a scalar; or where a string or an array is in memory */
	const char *kept;	/* the letters of a string, if they stay; NULL: at v, and may change */
	u32 len;		/* a string's bytes with its NUL (of an array: all strings') */
	bool fault;
};

/*
 * Values of @n arguments; @scratch: FETCH_SCRATCH bytes, which @out points into. @symbols: the address that each
 * FETCH_SYMBOL begins at, 0: there is no such symbol.
 */
void fetch_values(const struct fetch_arg *args, u32 n, const unsigned long *symbols,
		  const struct fetch_site *at, struct fetched *out, char *scratch);

/* Bytes of payload that they take, struct ftrace_event_head included; a multiple of 8. */
u32 fetch_size(const struct fetch_arg *args, u32 n, const struct fetched *values);

/*
 * The payload behind struct ftrace_event_head, to @payload of @size bytes (fetch_size()). Returns the bytes used, at
 * most @size: memory may have changed. Up to a multiple of 8 they are followed by zeros. *@faults: a bit for each argument without a value.
 */
u32 fetch_store(const struct fetch_arg *args, u32 n, const struct fetch_site *at,
		const struct fetched *values, char *payload, u32 size, u32 *faults);

/*
 * The letters of a string's value, for a filter: those kept, or as many as fit into @buf, NUL-terminated. NULL: a
 * fault.
 */
const char *fetch_string(const struct fetch_site *at, const struct fetched *value, char *buf, u32 size);

#endif /* FTRACE_AGENT_FETCH_H */
