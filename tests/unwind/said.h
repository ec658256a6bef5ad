/* SPDX-License-Identifier: MIT */
/* What the library said last, for tests of what it refuses. */
#ifndef TESTS_UNWIND_SAID_H
#define TESTS_UNWIND_SAID_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static char last_said[512];

__attribute__((unused)) static void say(const char *msg)
{
	snprintf(last_said, sizeof(last_said), "%s", msg);
}

/* @err is @want, and a line that has @word in it says why. */
__attribute__((unused)) static bool refused(int err, int want, const char *word)
{
	bool good = err == want && strstr(last_said, word);

	if (!good)
		printf("# error %d, wanted %d; said: %s\n", err, want, last_said);
	last_said[0] = 0;
	return good;
}

#endif
