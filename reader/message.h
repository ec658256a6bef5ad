/* SPDX-License-Identifier: MIT */
/* What the reader has to say, one line at a time, on stderr, as the command words it. */
#ifndef TRACE_MESSAGE_H
#define TRACE_MESSAGE_H

/*
 * Print "ftrace: " and the message. @err: a positive errno.
 * Returns -@err, so that a caller can say "return trace_error(EINVAL, ...)".
 */
int trace_error(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Print "ftrace: warning: " and the message. A damaged recording can earn thousands: after the
 * first 20 they are only counted, and trace_warnings_done() prints how many were left out.
 */
void trace_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void trace_warnings_done(void);

/*
 * A line on stderr that overwrites itself, only on a terminal, only once @done units of @total took
 * longer than a second. Cheap enough for every packet. trace_progress_end() wipes the line.
 */
void trace_progress(const char *what, unsigned long long done, unsigned long long total);
void trace_progress_end(void);

#endif /* TRACE_MESSAGE_H */
