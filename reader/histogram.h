/* SPDX-License-Identifier: MIT */
/*
 * A log-linear histogram: 64 equal steps in every doubling, so that the middle of a step is within
 * 1/128 (0.8 %) of each value in it, and values below 64 are exact.
 */
#ifndef TRACE_HISTOGRAM_H
#define TRACE_HISTOGRAM_H

#include <stdint.h>

#define TRACE_HISTOGRAM_STEPS	64
#define TRACE_HISTOGRAM_BLOCKS	59	/* [0, 64), [64, 128), [128, 256), ... 2^64 */

struct trace_histogram {
	uint32_t *blocks[TRACE_HISTOGRAM_BLOCKS];	/* made when first needed */
	uint64_t *carries[TRACE_HISTOGRAM_BLOCKS];	/* counts above 32 bits; hardly ever there */
	uint64_t missed;				/* not counted: no memory */
};

static inline unsigned trace_histogram_block(uint64_t value, unsigned *step)
{
	unsigned shift;

	if (value < 64) {
		*step = value;
		return 0;
	}
	shift = 57 - __builtin_clzll(value);	/* value >> shift is in [64, 128) */
	*step = (value >> shift) - 64;
	return shift + 1;
}

/* Out of line: the first value of a block, or a count that wraps. */
void trace_histogram_slow(struct trace_histogram *h, unsigned block, unsigned step);

static inline void trace_histogram_add(struct trace_histogram *h, uint64_t value)
{
	unsigned step, block = trace_histogram_block(value, &step);
	uint32_t *counts = h->blocks[block];

	if (__builtin_expect(!counts || counts[step] == UINT32_MAX, 0))
		trace_histogram_slow(h, block, step);
	else
		counts[step]++;
}

/* Add what @from holds to @to. */
void trace_histogram_merge(struct trace_histogram *to, const struct trace_histogram *from);

/*
 * The smallest value that at least @percent of the values do not exceed, to 0.8 %; at least @min and
 * at most @max, the exact extremes. 0 if there are no values.
 */
uint64_t trace_histogram_percentile(const struct trace_histogram *h, double percent, uint64_t min,
				    uint64_t max);

void trace_histogram_free(struct trace_histogram *h);

#endif /* TRACE_HISTOGRAM_H */
