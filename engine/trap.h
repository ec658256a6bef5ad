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

/*
 * Before a probe is to be at @addr, without locks, for it reads files: then trap_in_window() tells whether libc runs the
 * code there with all signals blocked at times. (trap-windows.c)
 */
void trap_windows_look(unsigned long addr);
bool trap_in_window(unsigned long addr);

#define TRAP_BIT	(1ull << 4)	/* SIGTRAP, in a mask */

extern u32 trap_active;			/* breakpoints may be met, from now on */

static inline bool trap_is_active(void)
{
	return smp_load_acquire(&trap_active);
}

/* What the program has for SIGTRAP, and is to have (NULL: the same). */
struct arch_sigaction;
void trap_program_action(const struct arch_sigaction *act, struct arch_sigaction *old);

/* ---- trap-interpose.c, in the shared library only ---- */

/* SIGTRAP was taken out of the mask of the handler of @sig. */
void trap_hide_in_mask(int sig) __attribute__((weak));

/* The program was sent SIGTRAP: does this thread block it, as it thinks? Then it gets it when it does not. */
bool trap_is_held_back(void) __attribute__((weak));

/* Where we came late: calls of what is loaded come to us. ftrace_lock is held. 0 or -errno. */
int trap_redirect(void) __attribute__((weak));

#endif /* FTRACE_ENGINE_TRAP_H */
