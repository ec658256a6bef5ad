/* SPDX-License-Identifier: MIT */
/*
 * Sites of FTRACE_FORM_MOVED: functions that were not compiled for tracing. Off, they are as they were;
 * on, a jump to the stub stands over their first bytes, and the instructions that were there run in
 * the site's copy.
 */
#ifndef FTRACE_ENGINE_MOVED_H
#define FTRACE_ENGINE_MOVED_H

#include "base.h"

struct dyn_ftrace;
struct ftrace_text;

/*
 * Switch the @n sites of @sites (by ascending id), each to what it is not now: FTRACE_SITE_ON is set
 * or taken away where that succeeded. All other threads stand still for the writing, once for all sites,
 * unless there are none or the sites' objects were mapped just now. A site that a thread is in the
 * middle of is tried again a few times. What could not be switched on is counted in its object's refused_now, with
 * the reason; what could not be switched off still jumps to its stub, which passes. Logged once a call.
 * 0: some were switched, or nothing failed; else -errno. ftrace_lock is held.
 */
int ftrace_moved_switch(struct dyn_ftrace **sites, u32 n);

/*
 * Make stubs and copies for those of the @n @sites (by ascending id) that have none. Sites whose copy cannot be are
 * refused. 0 or -errno. ftrace_lock is held.
 */
int ftrace_moved_make_stubs(struct ftrace_text *text, struct dyn_ftrace **sites, u32 n);

#endif /* FTRACE_ENGINE_MOVED_H */
