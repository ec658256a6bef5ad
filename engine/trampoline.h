/* SPDX-License-Identifier: MIT */
/*
 * Trampolines of sites: what calls the callback of a function's one ops, near the function and for it alone. The
 * way through the stub to a trampoline in the library and back costs more than all that is done there; so a copy of it
 * stands behind the site's thunk (thunk.h), in chunks of a third kind.
 *
 * It is for the callbacks that are to cost least: one function ops, with GENERAL_REGS (or seen to be such, general.h)
 * and without SAVE_REGS. The thunk leads there as long as that is the function's only user, and whatever is not usual is left to the
 * stub, in the trampoline's first instructions. So the stub and the dyn_ftrace are as they would be without it.
 *
 * Only sites that are off get one, as only they can get a thunk, and not very many: it is more code than a stub.
 * Where the architecture has none (ARCH_HAS_TRAMPOLINES), all is done by the stub.
 */
#ifndef FTRACE_ENGINE_TRAMPOLINE_H
#define FTRACE_ENGINE_TRAMPOLINE_H

#include "base.h"

struct dyn_ftrace;
struct ftrace_thunk;

/* How many more there may be. */
u32 ftrace_trampolines_left(void);

/* Where @site's is entered; 0: it has none (yet). No lock. */
unsigned long ftrace_trampoline_of(const struct dyn_ftrace *site);

/* The code of that: false: there is none. */
bool ftrace_trampoline_range(const struct dyn_ftrace *site, unsigned long *lo, unsigned long *hi);

/* The site of number @i, in the order in which they were made. NULL: there are not so many. */
const struct dyn_ftrace *ftrace_trampoline_site(u32 i);

/* Is @pc in one? Async-signal-safe. */
bool ftrace_in_trampoline(unsigned long pc);

/*
 * Make them for the @n sites of @sites, which can have thunks; those that have none are off and get one. Sites that
 * get none are left as they were. ftrace_lock is held.
 */
void ftrace_trampolines_make(struct dyn_ftrace **sites, u32 n);

#endif /* FTRACE_ENGINE_TRAMPOLINE_H */
