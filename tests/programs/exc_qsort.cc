/* SPDX-License-Identifier: MIT */
/* Exceptions through frames of C code that is not traced: qsort's and a callback's. */
#include "t.h"
#include <stdexcept>

static int budget;
extern "C" NOINLINE int compare(const void *a, const void *b)
{
	if (--budget == 0)
		throw std::runtime_error("out of comparisons");
	return *(const int *)a - *(const int *)b;
}

NOINLINE int sort(int limit)
{
	int numbers[64];
	for (int i = 0; i < 64; i++)
		numbers[i] = (i * 37) % 64;
	budget = limit;
	qsort(numbers, 64, sizeof(int), compare);
	for (int i = 0; i < 64; i++)
		CHECK(numbers[i] == i);
	return 1;
}

int main()
{
	int sorted = 0, thrown = 0;
	for (int i = 1; i < 600; i++) {
		try {
			sorted += sort(i);
		} catch (const std::runtime_error &) {
			thrown++;
		}
	}
	printf("sorted %d thrown %d\n", sorted, thrown);
	return 0;
}
