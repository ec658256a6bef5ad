/* SPDX-License-Identifier: MIT */
/* Radix sort of records by the number they begin with; see scratch.h. */
#include "scratch.h"

typedef unsigned long __attribute__((may_alias)) word_t;

static u64 key(const u8 *records, size_t i, size_t size)
{
	return *(const u64 *)(records + i * size);
}

/* One stable pass by the byte at @shift. */
static void pass(const u8 *from, u8 *to, size_t n, size_t size, unsigned int shift)
{
	size_t start[256], i, sum = 0;

	ft_memset(start, 0, sizeof(start));
	for (i = 0; i < n; i++)
		start[key(from, i, size) >> shift & 255]++;
	for (i = 0; i < 256; i++) {
		size_t count = start[i];

		start[i] = sum;
		sum += count;
	}
	for (i = 0; i < n; i++) {
		const word_t *src = (const word_t *)(from + i * size);
		word_t *dst = (word_t *)(to + start[key(from, i, size) >> shift & 255]++ * size);
		size_t w;

		for (w = 0; w < size / sizeof(word_t); w++)
			dst[w] = src[w];
	}
}

int ft_sort(void *records, size_t n, size_t size)
{
	u8 *from = records, *to;
	u64 differ = 0, descents = 0;
	unsigned int shift;
	size_t i;
	void *tmp;

	for (i = 1; i < n; i++) {
		differ |= key(from, i, size) ^ key(from, i - 1, size);
		descents += key(from, i, size) < key(from, i - 1, size);
	}
	if (!descents)
		return 0;
	tmp = to = scratch_alloc(n * size);
	if (!tmp)
		return -ENOMEM;
	for (shift = 0; shift < 64; shift += 8) {
		u8 *swap = from;

		if (!(differ >> shift & 255))
			continue;
		pass(from, to, n, size, shift);
		from = to;
		to = swap;
	}
	if (from != records)
		ft_memcpy(records, from, n * size);
	scratch_free(tmp, n * size);
	return 0;
}
