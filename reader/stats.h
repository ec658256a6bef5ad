/* SPDX-License-Identifier: MIT */
/*
 * Calls and times of each function over a recording. Memory grows with functions and open calls,
 * never with the number of records.
 */
#ifndef TRACE_STATS_H
#define TRACE_STATS_H

#include "reader/filter.h"
#include "reader/histogram.h"
#include "reader/merge.h"

struct trace_function {
	const char *name;	/* for people */
	const char *symbol;	/* as the symbol table has it; NULL: a site without a name */
	const char *object;	/* path; "" if unknown */
	uint64_t vaddr;		/* of the entry in the object; tells functions of one name apart */
	uint64_t calls;		/* all of them: timed, unfinished, and points */
	uint64_t timed;		/* calls with a known duration: min, max, percentiles are theirs */
	uint64_t unfinished;	/* still open at the end, or their end was lost */
	/* Ticks. */
	uint64_t total;		/* of outermost calls: a recursion counts once */
	uint64_t self;		/* less what was spent in functions shown */
	uint64_t sum;		/* of all timed calls, recursive ones too: for the average */
	uint64_t min, max;
	struct trace_histogram histogram;
};

struct trace_stats {
	struct trace_function *functions;	/* those that were called, in no order */
	size_t nfunctions;
	uint64_t records;	/* read, padding not counted */
	uint64_t calls;
	uint64_t lost;		/* records that were lost, as far as known */
	uint64_t ignored_exits;	/* of calls whose entry is not there */
	uint64_t threads;
	int profile;		/* from a profile (reader/profile.h): there are no percentiles */
	/* Private. */
	size_t *index;		/* hash table of functions by name, object, address */
	size_t index_size;
};

/*
 * Go through everything @select wants. Functions of different processes are one if name, object and
 * address agree. Names stay valid until trace_close(). Prints progress. Returns 0 or a negative errno
 * after having said why; then @stats is empty.
 */
int trace_stats(struct trace_stats *stats, struct trace_recording *recording,
		const struct trace_select *select, const struct trace_filter *filter,
		int raw_names);
void trace_stats_free(struct trace_stats *stats);

/*
 * For trace_stats() itself: the function called @name in @object, at @site's address; all zeros but for
 * its names when it is new. NULL: no memory. Good until the next call.
 */
struct trace_function *trace_stats_function(struct trace_stats *stats, const char *name,
					    const struct trace_site *site, const char *object);

#endif /* TRACE_STATS_H */
