/* SPDX-License-Identifier: MIT */
/*
 * The `info` file of a recording: text, one key=value a line, for people and programs.
 *
 * Keys the reader knows: version (1), command (shell-quoted), start_real_ns, end_real_ns, tick_hz,
 * end_ticks and end_mono_ns (one moment by both clocks), machine, status (of the command),
 * recorded (complete or interrupted), records, discarded. Unknown keys are kept, in order.
 */
#ifndef TRACE_INFO_H
#define TRACE_INFO_H

#include <stddef.h>
#include <stdint.h>

struct trace_info {
	struct trace_info_entry {
		char *key;
		char *value;
	} *entries;
	size_t count;
};

/*
 * Read DIRFD/info into @info. Lines that are not key=value are left out. Returns 0 or a negative
 * errno (-ENOENT: there is none); @info is empty then, and needs no trace_info_free().
 */
int trace_info_read(struct trace_info *info, int dirfd);

/* Write DIRFD/info, whole or not at all. Returns 0 or a negative errno. */
int trace_info_write(const struct trace_info *info, int dirfd);

/* The value of @key, or NULL. Valid until the next trace_info_set(). */
const char *trace_info_get(const struct trace_info *info, const char *key);

/* The value of @key as a decimal number, or @missing if there is none or it is no number. */
uint64_t trace_info_u64(const struct trace_info *info, const char *key, uint64_t missing);

/*
 * Set or add @key; a newline in the value becomes a space. @format as in printf.
 * Returns 0 or -ENOMEM.
 */
int trace_info_set(struct trace_info *info, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void trace_info_free(struct trace_info *info);

#endif /* TRACE_INFO_H */
