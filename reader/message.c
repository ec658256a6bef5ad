/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "reader/message.h"

#define MAX_WARNINGS	20

static unsigned warnings;
static int progress_shown;

static void print(const char *prefix, const char *format, va_list args)
{
	trace_progress_end();
	fputs(prefix, stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

int trace_error(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print("ftrace: ", format, args);
	va_end(args);
	return -err;
}

void trace_warn(const char *format, ...)
{
	va_list args;

	if (warnings++ >= MAX_WARNINGS)
		return;
	va_start(args, format);
	print("ftrace: warning: ", format, args);
	va_end(args);
}

void trace_warnings_done(void)
{
	if (warnings > MAX_WARNINGS)
		fprintf(stderr, "ftrace: warning: %u more warnings left out\n",
			warnings - MAX_WARNINGS);
	warnings = 0;
}

void trace_progress(const char *what, unsigned long long done, unsigned long long total)
{
	static struct timespec first, last;
	static int tty = -1;
	struct timespec now;

	if (tty < 0)
		tty = isatty(STDERR_FILENO);
	if (!tty)
		return;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (!first.tv_sec)
		first = last = now;
	if (now.tv_sec - first.tv_sec < 1 ||
	    (now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000 < 200)
		return;
	last = now;
	progress_shown = 1;
	fprintf(stderr, "\r%s %3u%%", what, total ? (unsigned)(done * 100 / total) : 100);
	fflush(stderr);
}

void trace_progress_end(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = 0;
}
