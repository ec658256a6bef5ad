/* SPDX-License-Identifier: MIT */
#ifndef TRACE_METADATA_H
#define TRACE_METADATA_H

#include <stdint.h>
#include <stdio.h>

struct trace_map;
struct trace_process;
struct trace_recording;

/*
 * Write the file `metadata` of every process in the recording @dir (a path), in the Trace Stream
 * Description Language of CTF 1.8, so that any CTF reader opens it. Call it when the recording
 * has ended: `info` should hold tick_hz, end_ticks and end_mono_ns, and the .map files be complete.
 * Each file is written whole or not at all; existing ones are replaced. For a process with many
 * functions the streams are read once, so that only those that were called are listed.
 *
 * Returns 0, or the first negative errno after having said why and having tried all processes.
 */
int trace_write_metadata(const char *dir);

/* Between metadata.c and event-metadata.c: @used NULL: all. */
void trace_put_functions(FILE *f, const struct trace_map *map, const uint8_t *used);
void trace_put_packet_context(FILE *f);
void trace_put_event_metadata(FILE *f, struct trace_recording *recording,
			      struct trace_process *process, const struct trace_map *map);

#endif /* TRACE_METADATA_H */
