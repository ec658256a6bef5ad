/* SPDX-License-Identifier: MIT */
/*
 * Shadows of stacks. While a call is hooked, its return address is in the shadow of the word it
 * came from: at a place that follows from its address (arch_shadow). Nothing is pushed or popped, so
 * whatever a program does to its stacks, nothing needs repair. Only stacks that hooked calls
 * were seen on have shadows mapped.
 */
#ifndef FTRACE_ENGINE_SHADOW_H
#define FTRACE_ENGINE_SHADOW_H

#include "base.h"

struct ftrace_thread;

/*
 * Make sure that the stack around @sp has a shadow, mapping it if need be, and make it @t's
 * current one. 0; -errno: it cannot be had (remembered in @t, so that asking again is cheap).
 */
int ftrace_shadow_enter(struct ftrace_thread *t, unsigned long sp);

/* @t's thread is gone: the shadow of the stack it ran on goes too, if nobody else runs there. */
void ftrace_shadow_thread_gone(struct ftrace_thread *t);

/*
 * Call @func for every part of a stack that has a shadow and is no thread's own: of coroutines, of
 * signals. No lock: while all threads stand still.
 */
void ftrace_shadow_for_each_foreign(void (*func)(unsigned long lo, unsigned long hi, void *data),
				    void *data);

/* This process is a new child of fork. */
void ftrace_shadow_forked(void);

/* ---- shadow-map.c ---- */

/* Map the shadow of [@lo, @hi), which are page bounds and have none yet. 0 or -errno. */
int ftrace_shadow_map(unsigned long lo, unsigned long hi);
void ftrace_shadow_unmap(unsigned long lo, unsigned long hi);

#endif /* FTRACE_ENGINE_SHADOW_H */
