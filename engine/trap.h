/* SPDX-License-Identifier: MIT */
/*
 * Breakpoints of probes: a handler of SIGTRAP of our own sends who meets one to its detour. The program
 * does not see it: what it says of SIGTRAP's handler and of its mask is kept for it, see trap-interpose.c.
 */
#ifndef FTRACE_ENGINE_TRAP_H
#define FTRACE_ENGINE_TRAP_H

#include "base.h"

struct probe_detour;

/*
 * The first breakpoint is about to be planted: have the handler. 0 or -errno, logged: a thread that blocks the signal
 * would be killed.
 */
int trap_begin(void);

/* Memory for @addr, so that trap_set() needs none. -ENOMEM. */
int trap_prepare(unsigned long addr);

/* Who traps at @addr goes to @d, from before the breakpoint stands there. */
void trap_set(unsigned long addr, struct probe_detour *d);

/* None stands there any more. Who has met it before still finds its way. */
void trap_clear(unsigned long addr);

#endif /* FTRACE_ENGINE_TRAP_H */
