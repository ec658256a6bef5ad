/* SPDX-License-Identifier: MIT */
/* Results of the stack tracer, shown. */
#ifndef CMD_REPORT_STACK_H
#define CMD_REPORT_STACK_H

#include <stdio.h>

#include "reader/recording.h"

/*
 * Print the deepest stack of each process of @recording that has one, the deepest of all first; of
 * @only_one process if set. Returns how many were printed, or -1 after having said why not.
 */
int report_stack(FILE *out, struct trace_recording *recording, int only_one, int raw_names);

#endif /* CMD_REPORT_STACK_H */
