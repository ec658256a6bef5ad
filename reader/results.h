/* SPDX-License-Identifier: MIT */
/*
 * What tracers found out without writing records (<ftrace/trace-results.h>): taken from the session
 * into the recording, and read from there.
 */
#ifndef TRACE_RESULTS_H
#define TRACE_RESULTS_H

#include <stddef.h>
#include <stdint.h>

#include <ftrace/trace-results.h>

#include "reader/map.h"
#include "reader/recording.h"

/* Is @rest, the end of a session file's name "PID.GEN.REST", that of a tracer's result? */
int trace_is_result(const char *rest);

/* What was taken, added up. */
struct trace_results_totals {
	uint64_t results;	/* process images that had some */
	uint64_t calls, threads;	/* where they tell */
	uint64_t unfollowed;	/* calls that could not be counted */
};

/*
 * Take the results of process image @pid.@gen from the session directory @session_fd into its
 * directory @dir_fd of the recording, whole or not at all, and remove them from the session.
 * 0, also if there are none; or a negative errno, and those not taken stay where they are.
 */
int trace_take_results(int session_fd, uint32_t pid, uint32_t gen, int dir_fd,
		       struct trace_results_totals *totals);

/*
 * Is @recording one of results named @what ("stack"), without records? A recording whose recorder was
 * killed does not say which tracer it had.
 */
int trace_has_results(const struct trace_recording *recording, const char *what);

/*
 * The stack result of @process: nframes functions, the innermost one in frames[0]; first more are further out,
 * and were not kept. -ENOENT: it has none, or nothing was seen; -EINVAL: damaged. free() *@trace.
 */
int trace_stack_read(struct trace_recording *recording, struct trace_process *process,
		     struct ftrace_stack_trace **trace, uint64_t *not_followed);

/* ---- the profile tracer's: reader/profile.c ---- */

/* Is @rest that of one of its tables, "K.prof"? */
int trace_is_profile(const char *rest);

/*
 * Add up the tables of process image @pid.@gen in @session_fd into .profile of @dir_fd, whole or not at
 * all, and remove them. -ENOENT: there are none. As trace_take_results().
 */
int trace_take_profile(int session_fd, uint32_t pid, uint32_t gen, int dir_fd,
		       struct trace_results_totals *totals);

/* ---- functions by address ---- */

struct trace_addresses {
	struct trace_address {
		uint64_t lo, hi;
		uint32_t id;
	} *functions;		/* by lo */
	size_t n;
};

/* Make the table for @map. 0 or -ENOMEM. */
int trace_addresses_init(struct trace_addresses *a, const struct trace_map *map);
void trace_addresses_free(struct trace_addresses *a);

/* The function @address is in; NULL: none that is known. */
const struct trace_address *trace_address_find(const struct trace_addresses *a, uint64_t address);

#endif /* TRACE_RESULTS_H */
