/* SPDX-License-Identifier: MIT */
/* The files of a session directory that have to do with traced processes. */
#ifndef TRACE_SESSION_FILES_H
#define TRACE_SESSION_FILES_H

#include <stdint.h>

/* Is @name "PID.GEN." and then a ring's number, "map" or a result? Returns the rest, NULL if not. */
const char *trace_session_name(const char *name, uint32_t *pid, uint32_t *gen);

/*
 * Take all of them into the recording: maps, what rings hold that is not in the stream files yet, results. May be
 * repeated. Returns 0, or the negative errno with which writing to the recording failed.
 */
int trace_take_session(int session_fd, int recording_fd);

/* Remove the session directory at @path with what is known to be a session's. */
void trace_remove_session(int session_fd, const char *path);

#endif /* TRACE_SESSION_FILES_H */
