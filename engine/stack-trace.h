/* SPDX-License-Identifier: MIT */
#ifndef FTRACE_ENGINE_STACK_TRACE_H
#define FTRACE_ENGINE_STACK_TRACE_H

#include "base.h"

struct pt_regs;

/*
 * Return addresses of the calling thread's stack, the innermost first, to @ips, at most @max; how many. @regs: as a
 * callback got them, at a function's entry or, @ret, at its return. In callbacks; async-signal-safe.
 */
FTRACE_INTERNAL u32 ftrace_stack_trace(struct pt_regs *regs, bool ret, unsigned long *ips, u32 max);

/* Before the first: look at what is loaded. Without it there is the caller alone. 0 or -ENOMEM, logged. */
FTRACE_INTERNAL int ftrace_stack_trace_prepare(void);

/* The loader's list has changed. ftrace_lock is held. */
void ftrace_stack_trace_changed(void);

#endif /* FTRACE_ENGINE_STACK_TRACE_H */
