/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNWIND_TAP_H
#define TESTS_UNWIND_TAP_H

#include <stdarg.h>
#include <stdio.h>

static int tap_count, tap_failed;

/* One line of TAP: "ok" if @good, which is returned. */
__attribute__((format(printf, 2, 3), unused)) static int ok(int good, const char *fmt, ...)
{
	va_list ap;

	printf("%s %d - ", good ? "ok" : "not ok", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	tap_failed += !good;
	return good;
}

__attribute__((unused)) static int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
