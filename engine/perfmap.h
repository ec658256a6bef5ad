/* SPDX-License-Identifier: MIT */
/* Names of stubs for perf(1), which otherwise shows their samples as addresses in [unknown]. */
#ifndef FTRACE_ENGINE_PERFMAP_H
#define FTRACE_ENGINE_PERFMAP_H

#include "base.h"

/*
 * Append the stubs of all sites made since the last call to /tmp/perf-PID.map, the file perf
 * reads for code made at run time: "START SIZE ftrace:FUNCTION" a line, about 50 bytes a site; where a
 * function's first instructions were moved, another for their copy, with its name alone; and one for each trampoline
 * (trampoline.h). A process that writes such a file for itself (a JIT compiler) keeps its lines. A child of fork
 * needs a call of its own. Returns the number of sites, or -errno (logged): -EEXIST when the file
 * is somebody else's. Takes no lock; calls must not overlap.
 */
FTRACE_INTERNAL int ftrace_perf_map_write(void);

/* The same if FTRACE_PERF_MAP=1 is in the environment: called when sites have been armed. */
void ftrace_perf_map_update(void);

#endif /* FTRACE_ENGINE_PERFMAP_H */
