/* SPDX-License-Identifier: MIT */
#include "reader/clock.h"

#define NS_PER_SEC	1000000000ull

void trace_clock_set(struct trace_clock *clock, uint64_t hz)
{
	unsigned __int128 mult;
	unsigned shift = 63;

	if (!hz)
		hz = NS_PER_SEC;
	clock->hz = hz;
	/* As many bits as fit: 2^62 <= mult < 2^63 for clocks up to and beyond 1 GHz. */
	do {
		mult = (((unsigned __int128)NS_PER_SEC << shift) + hz / 2) / hz;
		if (mult >> 63 == 0)
			break;
	} while (shift--);
	clock->mult = mult;
	clock->shift = shift;
}

uint64_t trace_ticks(const struct trace_clock *clock, uint64_t ns)
{
	unsigned __int128 ticks = ((unsigned __int128)ns * clock->hz + NS_PER_SEC - 1) / NS_PER_SEC;

	return ticks > UINT64_MAX ? UINT64_MAX : (uint64_t)ticks;
}

static uint64_t at_clock(const struct trace_clock *clock, uint64_t base, uint64_t at)
{
	uint64_t before;

	if (at >= clock->ticks)
		return base + trace_ns(clock, at - clock->ticks);
	before = trace_ns(clock, clock->ticks - at);
	return before < base ? base - before : 0;
}

uint64_t trace_mono_ns(const struct trace_clock *clock, uint64_t at)
{
	return at_clock(clock, clock->mono_ns, at);
}

uint64_t trace_real_ns(const struct trace_clock *clock, uint64_t at)
{
	return at_clock(clock, clock->real_ns, at);
}
