/* SPDX-License-Identifier: MIT */
/* Numbers for people, strings for programs. */
#ifndef CMD_FORMAT_H
#define CMD_FORMAT_H

#include <stdint.h>
#include <stdio.h>

/* Four digits that count and a unit, "12.34 us", in @text of 32 bytes. Returns @text. */
const char *format_duration(uint64_t ns, char *text);

/* "512 B", "1.5 MiB", in @text of 32 bytes. Returns @text. */
const char *format_size(uint64_t bytes, char *text);

/* @s as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void format_json(FILE *f, const char *s);

/* @s as a CSV field (RFC 4180), quoted if need be. */
void format_csv(FILE *f, const char *s);

/* Flush stdout. Returns the exit status: 0, or 1 after having said why (disk full). */
int cmd_finish_stdout(void);

#endif /* CMD_FORMAT_H */
