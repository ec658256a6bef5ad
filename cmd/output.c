/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/output.h"

char out_buffer[OUT_SIZE];
size_t out_used;
static struct timespec flushed;

static void write_all(const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int err = errno;

			out_used = 0;
			if (err == EPIPE)	/* SIGPIPE was ignored by whoever started us */
				_exit(141);
			exit(cmd_error("standard output: %s", strerror(err)));
		}
		p += n;
		len -= n;
	}
}

void out_flush(void)
{
	size_t used = out_used;

	out_used = 0;
	write_all(out_buffer, used);
	clock_gettime(CLOCK_MONOTONIC_COARSE, &flushed);
}

void out_flush_if_old(void)
{
	struct timespec now;

	if (!out_used)
		return;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec > flushed.tv_sec + 1 ||
	    (now.tv_sec - flushed.tv_sec) * 1000000000 + now.tv_nsec - flushed.tv_nsec > 100000000)
		out_flush();
}

void out_bytes(const char *s, size_t len)
{
	if (len > OUT_SIZE - out_used)
		out_flush();
	if (len > OUT_SIZE) {
		write_all(s, len);
		return;
	}
	memcpy(out_buffer + out_used, s, len);
	out_used += len;
}

static void room(void)
{
	if (OUT_SIZE - out_used < OUT_ROOM)
		out_flush();
}

void out_repeat(char c, unsigned count)
{
	room();
	memset(out_buffer + out_used, c, count);
	out_used += count;
}

unsigned out_number(uint64_t value, unsigned width, char fill)
{
	char digits[24], *p = digits + sizeof(digits);
	unsigned n;

	do
		*--p = '0' + value % 10;
	while (value /= 10);
	n = digits + sizeof(digits) - p;
	if (n < width)
		out_repeat(fill, width - n);
	room();
	memcpy(out_buffer + out_used, p, n);
	out_used += n;
	return n < width ? width : n;
}

void out_right(const char *s, unsigned width)
{
	size_t len = strlen(s);

	if (len < width)
		out_repeat(' ', width - len);
	out(s);
}
