/* SPDX-License-Identifier: MIT */
/* Text to stdout, tens of megabytes a second of it: no printf on the way. */
#ifndef CMD_OUTPUT_H
#define CMD_OUTPUT_H

#include <stdint.h>
#include <string.h>

#define OUT_SIZE	(64 * 1024)
#define OUT_ROOM	512	/* out_number() and out_pad() take at most that much */

extern char out_buffer[OUT_SIZE];
extern size_t out_used;

/* Write out what is there. A closed pipe ends the program by SIGPIPE; other errors exit 1. */
void out_flush(void);

/* Flush if the last time was more than a tenth of a second ago: where lines come rarely. */
void out_flush_if_old(void);

/* A string of any length. */
void out_bytes(const char *s, size_t len);

static inline void out(const char *s)
{
	size_t len = strlen(s);

	if (len > OUT_SIZE - out_used) {
		out_bytes(s, len);
		return;
	}
	memcpy(out_buffer + out_used, s, len);
	out_used += len;
}

static inline void out_char(char c)
{
	if (out_used == OUT_SIZE)
		out_flush();
	out_buffer[out_used++] = c;
}

/* @count (at most OUT_ROOM) times @c. */
void out_repeat(char c, unsigned count);

/* @value in decimal, at least @width columns, filled from the left with @fill. Returns its columns. */
unsigned out_number(uint64_t value, unsigned width, char fill);

/* @s in at least @width columns, to the right of them. */
void out_right(const char *s, unsigned width);

#endif /* CMD_OUTPUT_H */
