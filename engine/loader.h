/* SPDX-License-Identifier: MIT */
/*
 * What the dynamic loader says of itself and of what it has loaded. Referred to weakly: another C
 * library's loader (musl) has no such symbol, and the library must not keep its programs from running
 * when it is preloaded into them.
 */
#ifndef FTRACE_ENGINE_LOADER_H
#define FTRACE_ENGINE_LOADER_H

#include <link.h>

extern struct r_debug _r_debug __attribute__((weak));

/* NULL: there is no loader (a static program), or none that we know. */
static inline const struct r_debug *ftrace_loader(void)
{
	return &_r_debug;
}

/* The first of the loaded objects, NULL: not known. */
static inline const struct link_map *ftrace_loaded_objects(void)
{
	return ftrace_loader() ? ftrace_loader()->r_map : NULL;
}

#endif /* FTRACE_ENGINE_LOADER_H */
