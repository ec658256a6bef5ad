/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "reader/histogram.h"

static int make_block(struct trace_histogram *h, unsigned block)
{
	if (!h->blocks[block])
		h->blocks[block] = calloc(TRACE_HISTOGRAM_STEPS, sizeof(*h->blocks[block]));
	return h->blocks[block] ? 0 : -1;
}

/* Move @count from the 32-bit count to where larger ones are kept. */
static int carry(struct trace_histogram *h, unsigned block, unsigned step, uint64_t count)
{
	if (!h->carries[block])
		h->carries[block] = calloc(TRACE_HISTOGRAM_STEPS, sizeof(*h->carries[block]));
	if (!h->carries[block])
		return -1;
	h->carries[block][step] += count;
	return 0;
}

void trace_histogram_slow(struct trace_histogram *h, unsigned block, unsigned step)
{
	if (make_block(h, block)) {
		h->missed++;
		return;
	}
	if (h->blocks[block][step] == UINT32_MAX) {
		if (carry(h, block, step, UINT32_MAX)) {
			h->missed++;
			return;
		}
		h->blocks[block][step] = 0;
	}
	h->blocks[block][step]++;
}

static uint64_t count_of(const struct trace_histogram *h, unsigned block, unsigned step)
{
	return (h->blocks[block] ? h->blocks[block][step] : 0) +
	       (h->carries[block] ? h->carries[block][step] : 0);
}

void trace_histogram_merge(struct trace_histogram *to, const struct trace_histogram *from)
{
	for (unsigned b = 0; b < TRACE_HISTOGRAM_BLOCKS; b++) {
		if (!from->blocks[b])
			continue;
		for (unsigned s = 0; s < TRACE_HISTOGRAM_STEPS; s++) {
			uint64_t count = count_of(from, b, s), sum;

			if (!count)
				continue;
			if (make_block(to, b)) {
				to->missed += count;
				continue;
			}
			sum = to->blocks[b][s] + count;
			if (sum <= UINT32_MAX)
				to->blocks[b][s] = sum;
			else if (carry(to, b, s, count))
				to->missed += count;
		}
	}
}

/* The middle of a step. */
static uint64_t middle(unsigned block, unsigned step)
{
	if (block <= 1)
		return block * 64 + step;
	return ((64ull + step) << (block - 1)) + ((1ull << (block - 1)) - 1) / 2;
}

uint64_t trace_histogram_percentile(const struct trace_histogram *h, double percent, uint64_t min,
				    uint64_t max)
{
	uint64_t total = 0, seen = 0, wanted, value = max;

	for (unsigned b = 0; b < TRACE_HISTOGRAM_BLOCKS; b++)
		for (unsigned s = 0; h->blocks[b] && s < TRACE_HISTOGRAM_STEPS; s++)
			total += count_of(h, b, s);
	if (!total)
		return 0;
	wanted = (uint64_t)(total * percent / 100.0);
	if (wanted < total * percent / 100.0)
		wanted++;
	for (unsigned b = 0; b < TRACE_HISTOGRAM_BLOCKS; b++) {
		for (unsigned s = 0; h->blocks[b] && s < TRACE_HISTOGRAM_STEPS; s++) {
			seen += count_of(h, b, s);
			if (seen >= wanted) {
				value = middle(b, s);
				goto found;
			}
		}
	}
found:
	return value < min ? min : value > max ? max : value;
}

void trace_histogram_free(struct trace_histogram *h)
{
	for (unsigned b = 0; b < TRACE_HISTOGRAM_BLOCKS; b++) {
		free(h->blocks[b]);
		free(h->carries[b]);
		h->blocks[b] = NULL;
		h->carries[b] = NULL;
	}
}
