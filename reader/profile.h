/* SPDX-License-Identifier: MIT */
/* Recordings made with --profile. */
#ifndef TRACE_PROFILE_H
#define TRACE_PROFILE_H

#include "reader/stats.h"

/*
 * As trace_stats(), for a recording of a profile: no percentiles, and stats->lost is the number of
 * calls that could not be followed. Selections that need single calls (times, threads, depths) are
 * -EINVAL, after having said so.
 */
int trace_profile_stats(struct trace_stats *stats, struct trace_recording *recording,
			const struct trace_select *select, const struct trace_filter *filter,
			int raw_names);

#endif /* TRACE_PROFILE_H */
