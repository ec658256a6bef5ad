/* SPDX-License-Identifier: MIT */
#ifndef TESTS_KPROBES_TEST_H
#define TESTS_KPROBES_TEST_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <ftrace/ftrace.h>
#include <ftrace/kprobes.h>

#include "targets.h"
#include "../unwind/tap.h"

/* The first argument, at a function's entry. */
#if defined(__x86_64__)
#define ARG0(regs)	((regs)->rdi)
#elif defined(__i386__)
#define ARG0(regs)	((&(regs)->esp)[1])
#else
#define ARG0(regs)	((regs)->gprs[2])
#endif

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
