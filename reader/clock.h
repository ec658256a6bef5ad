/* SPDX-License-Identifier: MIT */
/* Ticks, nanoseconds and the time of day of one recording. */
#ifndef TRACE_CLOCK_H
#define TRACE_CLOCK_H

#include <stdint.h>

struct trace_clock {
	uint64_t hz;		/* ticks a second */
	uint64_t mult;		/* ns = ticks * mult >> shift, exact to one part in 2^40 or better */
	unsigned shift;
	/* One moment by all three clocks. */
	uint64_t ticks;
	uint64_t mono_ns;
	uint64_t real_ns;
};

/* Fill in @hz and the factors; @hz 0 counts as 1 GHz. The moment is left alone. */
void trace_clock_set(struct trace_clock *clock, uint64_t hz);

/* How many nanoseconds @ticks last. */
static inline uint64_t trace_ns(const struct trace_clock *clock, uint64_t ticks)
{
	return (unsigned __int128)ticks * clock->mult >> clock->shift;
}

/* How many ticks @ns last, rounded up: a duration is at least @ns exactly if its ticks are. */
uint64_t trace_ticks(const struct trace_clock *clock, uint64_t ns);

/* CLOCK_MONOTONIC and CLOCK_REALTIME at tick @at, in nanoseconds; not below 0. */
uint64_t trace_mono_ns(const struct trace_clock *clock, uint64_t at);
uint64_t trace_real_ns(const struct trace_clock *clock, uint64_t at);

#endif /* TRACE_CLOCK_H */
