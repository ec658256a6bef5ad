/* SPDX-License-Identifier: MIT */
/* Between map.c and event-map.c. */
#ifndef TRACE_EVENT_MAP_H
#define TRACE_EVENT_MAP_H

#include "reader/map.h"

/* An e line behind its "e ", which it changes; @end as in struct trace_site. 0, -EINVAL, -ENOMEM. */
int trace_map_parse_event(struct trace_map *map, char *p, uint64_t end);

void trace_map_free_events(struct trace_map *map);

#endif /* TRACE_EVENT_MAP_H */
