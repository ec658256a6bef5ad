/* SPDX-License-Identifier: MIT */
/* ftrace report --events. */
#ifndef CMD_REPORT_EVENTS_H
#define CMD_REPORT_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

struct trace_recording;
struct trace_select;

enum report_form { REPORT_TABLE, REPORT_CSV, REPORT_JSON };

/*
 * Print how often each event that @select wants happened, and of its integer fields the least, average and greatest value: the
 * @limit most frequent ones. 0; -1: no memory.
 */
int report_events(struct trace_recording *recording, const struct trace_select *select, enum report_form form,
		  uint64_t limit);

#endif /* CMD_REPORT_EVENTS_H */
