/* SPDX-License-Identifier: MIT */
/*
 * Which functions and calls to look at. The words are the kernel's: a filter names the functions
 * themselves; a graph function is shown with everything it calls.
 */
#ifndef TRACE_FILTER_H
#define TRACE_FILTER_H

#include <stddef.h>
#include <stdint.h>

#include "reader/map.h"

enum trace_filter_kind {
	TRACE_FILTER_ONLY,	/* only these functions */
	TRACE_FILTER_NOT,	/* all but these */
	TRACE_FILTER_GRAPH,	/* only inside these, themselves included */
	TRACE_FILTER_KINDS
};

struct trace_pattern;

struct trace_filter {
	struct trace_pattern *patterns[TRACE_FILTER_KINDS];
	size_t npatterns[TRACE_FILTER_KINDS];
	uint32_t depth;		/* calls shown have fewer shown callers; 0: no limit */
	uint64_t threshold;	/* ticks; calls shorter than that are not shown */
};

/*
 * Add a pattern: /extended regular expression/, or a glob (*, ?, [...]). It is compared with the
 * symbol's name and with its demangled name. A leading ! turns ONLY into NOT and back.
 * Returns 0, -ENOMEM, or -EINVAL with the reason in @why (of @size bytes).
 */
int trace_filter_add(struct trace_filter *filter, enum trace_filter_kind kind, const char *pattern,
		     char *why, size_t size);
void trace_filter_free(struct trace_filter *filter);

/* Does it let everything pass? */
int trace_filter_is_empty(const struct trace_filter *filter);

/* Is @pattern for names with their parameters? It has a round bracket then. */
int trace_filter_has_parameters(const char *pattern);

/* Does @name (demangled: @shown) match one of the patterns of @kind? */
int trace_filter_match(const struct trace_filter *filter, enum trace_filter_kind kind,
		       const char *name, const char *shown);

/* What the filter says of each site of one process, found out when first asked. */
struct trace_verdicts {
	const struct trace_filter *filter;
	const struct trace_map *map;
	uint8_t *flags;		/* by site id; 0: not asked yet */
	uint32_t size;
};

enum {
	TRACE_KNOWN = 1,
	TRACE_HIDDEN = 2,	/* not to be shown itself */
	TRACE_GRAPH = 4,	/* a graph function */
};

/* Returns 0 or -ENOMEM. */
int trace_verdicts_init(struct trace_verdicts *v, const struct trace_filter *filter,
			const struct trace_map *map);
void trace_verdicts_free(struct trace_verdicts *v);
unsigned trace_verdict_slow(struct trace_verdicts *v, uint32_t site);

static inline unsigned trace_verdict(struct trace_verdicts *v, uint32_t site)
{
	if (site < v->size && v->flags[site])
		return v->flags[site];
	return trace_verdict_slow(v, site);
}

#endif /* TRACE_FILTER_H */
