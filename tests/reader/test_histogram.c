/* SPDX-License-Identifier: MIT */
/* The histogram's promise: a percentile within 1 % of the sorted values' own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "reader/clock.h"
#include "reader/histogram.h"

#define N	20000

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void check(uint64_t *values, size_t n)
{
	static const double percents[] = { 1, 10, 50, 90, 99, 99.9, 100 };
	struct trace_histogram h = { 0 };

	for (size_t i = 0; i < n; i++)
		trace_histogram_add(&h, values[i]);
	qsort(values, n, sizeof(*values), compare);
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		size_t rank = n * percents[i] / 100.0;
		uint64_t want, got;

		if (rank < n * percents[i] / 100.0)
			rank++;
		want = values[rank - 1];
		got = trace_histogram_percentile(&h, percents[i], values[0], values[n - 1]);
		if (want < 64)
			assert_int_equal(got, want);
		else
			assert_true((got > want ? got - want : want - got) <= want / 100.0);
	}
	trace_histogram_free(&h);
}

static uint64_t rnd(void)
{
	static uint64_t s = 88172645463325252ull;

	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s;
}

static void test_percentiles(void **state)
{
	uint64_t *values = malloc(N * sizeof(*values));

	for (int spread = 0; spread < 64; spread++) {
		for (size_t i = 0; i < N; i++)
			values[i] = rnd() >> spread;
		check(values, N);
		/* Every magnitude at once. */
		for (size_t i = 0; i < N; i++)
			values[i] = rnd() >> (rnd() % 64);
		check(values, 1 + rnd() % N);
	}
	free(values);
}

static void test_edges(void **state)
{
	for (int bit = 0; bit < 64; bit++) {
		uint64_t v = 1ull << bit, values[3] = { v - 1, v, v + 1 };

		check(values, 3);
		values[0] = v;
		check(values, 1);
	}
	uint64_t extremes[2] = { 0, UINT64_MAX };

	check(extremes, 2);
}

static void test_merge_and_carry(void **state)
{
	struct trace_histogram a = { 0 }, b = { 0 };

	trace_histogram_add(&a, 1000);
	a.blocks[4][1000 / 8 - 64] = UINT32_MAX;	/* as if added that often */
	trace_histogram_add(&a, 1000);
	trace_histogram_add(&a, 10);
	trace_histogram_merge(&b, &a);
	trace_histogram_merge(&b, &a);
	trace_histogram_add(&b, 5000);
	assert_int_equal(a.missed + b.missed, 0);
	/* 2^33 values near 1000 between one or two others. */
	assert_int_equal(trace_histogram_percentile(&b, 0.00000001, 10, 5000), 10);
	assert_in_range(trace_histogram_percentile(&b, 50, 10, 5000), 990, 1010);
	assert_in_range(trace_histogram_percentile(&b, 99.9999, 10, 5000), 990, 1010);
	assert_int_equal(trace_histogram_percentile(&b, 100, 10, 5000) / 100, 50);
	trace_histogram_free(&a);
	trace_histogram_free(&b);
}

static void test_clock(void **state)
{
	static const uint64_t hz[] = { 1000000, 19200000, 1000000000, 2250000000, 2596122443,
				       4096000000, 10000000000 };

	for (size_t i = 0; i < sizeof(hz) / sizeof(hz[0]); i++) {
		struct trace_clock c = { 0 };

		trace_clock_set(&c, hz[i]);
		for (int n = 0; n < 10000; n++) {
			uint64_t ticks = rnd() >> (6 + rnd() % 58);
			unsigned __int128 want = (unsigned __int128)ticks * 1000000000 / hz[i];
			uint64_t ns = trace_ns(&c, ticks);
			__int128 off = (__int128)ns - (__int128)want;

			if (want >> 63)
				continue;
			/* One nanosecond, or one part in 10^12. */
			assert_true(off >= -1 - (__int128)(want / 1000000000000ull) &&
				    off <= 1 + (__int128)(want / 1000000000000ull));
			assert_true(trace_ticks(&c, want) <= ticks);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_percentiles),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_merge_and_carry),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
