/* SPDX-License-Identifier: MIT */
/*
 * FUZZER SEED ROUNDS FILE...: damages each FILE in many ways, always the same for one SEED, and has
 * look() read what came of it, which counts what it says in @good, @found and @errors. Prints how often that was
 * good, and each error's count; 1: a file of which nothing is found even undamaged.
 */
#ifndef TESTS_FIND_FUZZ_H
#define TESTS_FIND_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "damage.h"

static unsigned long errors[134], good, found;

static void look(const u8 *file, size_t size);

static u8 *read_file(const char *path, size_t *size)
{
	FILE *in = fopen(path, "rb");
	u8 *file;

	if (!in) {
		perror(path);
		return NULL;
	}
	fseek(in, 0, SEEK_END);
	*size = (size_t)ftell(in);
	rewind(in);
	file = malloc(*size);
	if (fread(file, 1, *size, in) != *size) {
		fprintf(stderr, "%s: cannot be read\n", path);
		free(file);
		file = NULL;
	}
	fclose(in);
	return file;
}

/* Seconds that one damaged copy of @file took; @copy: room for it. */
static double one_round(u8 *copy, const u8 *file, size_t size)
{
	struct timespec a, b;

	memcpy(copy, file, size);
	clock_gettime(CLOCK_MONOTONIC, &a);
	look(copy, damage(copy, size));
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 3 ? strtoul(argv[2], NULL, 10) : 0, total = 0;
	double slowest = 0;

	if (!rounds) {
		fprintf(stderr, "usage: %s SEED ROUNDS FILE...\n", argv[0]);
		return 2;
	}
	for (int i = 3; i < argc; i++) {
		size_t size;
		u8 *file = read_file(argv[i], &size), *copy;

		if (!file)
			return 1;
		copy = malloc(size);
		found = 0;
		look(file, size);
		if (!found) {
			fprintf(stderr, "%s: nothing found even undamaged\n", argv[i]);
			return 1;
		}
		state = strtoull(argv[1], NULL, 10);
		for (unsigned long r = 0; r < rounds; r++, total++) {
			double took = one_round(copy, file, size);

			slowest = took > slowest ? took : slowest;
		}
		free(file);
		free(copy);
	}
	printf("rounds %lu good %lu slowest_ms %.0f", total, good, slowest * 1e3);
	for (int i = 0; i < 134; i++)
		if (errors[i])
			printf(" errno%d %lu", i, errors[i]);
	putchar('\n');
	return 0;
}

#endif /* TESTS_FIND_FUZZ_H */
