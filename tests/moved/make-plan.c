/* SPDX-License-Identifier: MIT */
/* make-plan OBJECT PLAN: the command's planner, for programs here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/planner.h"

int main(int argc, char **argv)
{
	const char *why = "";
	size_t size = 0;
	void *plan;
	FILE *out;
	int err;

	if (argc != 3)
		return 2;
	err = planner_make(argv[1], &plan, &size, &why);
	if (err) {
		fprintf(stderr, "%s: %s\n", argv[1], why);
		return 1;
	}
	out = fopen(argv[2], "wb");
	if (!out || fwrite(plan, 1, size, out) != size || fclose(out)) {
		perror(argv[2]);
		return 1;
	}
	free(plan);
	return 0;
}
