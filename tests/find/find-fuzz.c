/* SPDX-License-Identifier: MIT */
/*
 * find-fuzz SEED ROUNDS FILE...: damages each FILE in many ways, always the same for one SEED, and
 * has ftrace_find() read what came of it. Built with address and undefined-behaviour sanitizers,
 * and with every buffer of the finder in memory of its own, so that any read or write out of
 * bounds ends the program. Prints how often the answer was good, and each error's count.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "damage.h"
#include "engine/find.h"

static unsigned long errors[134], good, found;

static void look(const u8 *d, size_t size)
{
	struct ftrace_finding f;
	u8 *exact = malloc(size);
	int ret;

	memcpy(exact, d, size);
	image = exact;
	image_size = size;
	image_path = "image";
	ret = ftrace_find(image_path, &f);
	if (ret == 0) {
		good++;
		found += f.nfound;
		/* What it gives back must be in order and readable. */
		for (u32 i = 0; i < f.nfound; i++) {
			if ((i && f.found[i].vaddr < f.found[i - 1].vaddr) || !f.found[i].name[0] ||
			    (f.found[i].form == FTRACE_FORM_NONE) != (f.found[i].reason != NULL) ||
			    (f.found[i].form && !f.found[i].len) || strlen(f.found[i].name) > size + 100)
				abort();
		}
	} else if (ret > -134 && ret < 0) {
		errors[-ret]++;
	} else {
		abort();
	}
	ftrace_find_done(&f);
	free(exact);
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 3 ? strtoul(argv[2], NULL, 10) : 0, total = 0;
	double slowest = 0;

	if (!rounds) {
		fprintf(stderr, "usage: find-fuzz SEED ROUNDS FILE...\n");
		return 2;
	}
	for (int i = 3; i < argc; i++) {
		FILE *in = fopen(argv[i], "rb");
		u8 *file, *copy;
		size_t size;

		if (!in) {
			perror(argv[i]);
			return 1;
		}
		fseek(in, 0, SEEK_END);
		size = (size_t)ftell(in);
		rewind(in);
		file = malloc(size);
		copy = malloc(size);
		if (fread(file, 1, size, in) != size)
			return 1;
		fclose(in);
		look(file, size);
		if (!good || !found) {
			fprintf(stderr, "%s: nothing found even undamaged\n", argv[i]);
			return 1;
		}
		state = strtoull(argv[1], NULL, 10);
		for (unsigned long r = 0; r < rounds; r++) {
			struct timespec a, b;
			double took;

			memcpy(copy, file, size);
			clock_gettime(CLOCK_MONOTONIC, &a);
			look(copy, damage(copy, size));
			clock_gettime(CLOCK_MONOTONIC, &b);
			took = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
			slowest = took > slowest ? took : slowest;
			total++;
		}
		free(file);
		free(copy);
	}
	printf("rounds %lu good %lu found %lu slowest_ms %.0f", total, good, found, slowest * 1e3);
	for (int i = 0; i < 134; i++)
		if (errors[i])
			printf(" errno%d %lu", i, errors[i]);
	putchar('\n');
	return 0;
}
