/* SPDX-License-Identifier: MIT */
/* What the programs of this folder share: TAP, and giving the library the plan. */
#ifndef MOVED_TEST_H
#define MOVED_TEST_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unwind/tap.h"
#include "site.h"
#undef memcpy

/* Plans for objects: PLAN for the program itself, else OBJECT's name in front of it, "lib.so=PLAN". */
static char *const *moved_test_plans;

static inline int moved_test_plan(const char *object, u64 dev, u64 ino, char *path, size_t size)
{
	const char *base = strrchr(object, '/') ? strrchr(object, '/') + 1 : object;

	(void)dev;
	(void)ino;
	for (char *const *p = moved_test_plans; p && *p; p++) {
		const char *equals = strchr(*p, '=');

		if (!equals && strcmp(base, program_invocation_short_name))
			continue;
		if (equals && (strncmp(base, *p, (size_t)(equals - *p)) || base[equals - *p]))
			continue;
		snprintf(path, size, "%s", equals ? equals + 1 : *p);
		return 0;
	}
	return -ENOENT;
}

/* Every argument with .plan in it is a plan. Runs before the library's constructor, which asks for them. */
static inline void __attribute__((constructor(101))) moved_test_set(int argc, char **argv)
{
	static char *plans[16];
	int n = 0;

	for (int i = 1; i < argc && n < 15; i++)
		if (strstr(argv[i], ".plan"))
			plans[n++] = argv[i];
	moved_test_plans = plans;
	ftrace_set_object_plan(moved_test_plan);
}

#endif /* MOVED_TEST_H */
