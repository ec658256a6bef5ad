/* SPDX-License-Identifier: MIT */
/*
 * Thunks: a second place that a site can jump to instead of its stub, for functions that are replaced
 * (livepatch.h), have a direct call or a trampoline of their own (trampoline.h). A thunk is one jump through a pointer, so that what a call costs
 * then is that jump and no callback; where it goes is data, changed by one store while threads run.
 * It goes to the stub whenever somebody traces the function as well.
 *
 * A thunk takes the place of a stub in a chunk of its own (site.h), where its code lies at offsets
 * for which the chunk's unwind table says what is true of it, and its data that of a dyn_ftrace whose id is 0.
 *
 * The site's jump is directed to it once, when its first such user comes, while the site is off. Where
 * the architecture has no thunks (ARCH_HAS_THUNKS), or a site cannot have one, replaced functions cost
 * a callback, and direct calls are refused.
 */
#ifndef FTRACE_ENGINE_THUNK_H
#define FTRACE_ENGINE_THUNK_H

#include "base.h"

struct dyn_ftrace;
struct ftrace_object;
struct ftrace_ops;

struct ftrace_thunk {
	unsigned long target;		/* where a call of the function goes */
	unsigned long direct;		/* what ARCH_THUNK_DIRECT calls before it goes to the body */
	struct dyn_ftrace *site;
	bool placed;			/* the site's jump leads here */
	bool has_trampoline;		/* the one at trampoline is the site's as it is now */
	unsigned long trampoline;	/* trampoline.h; 0: none was made */
	struct ftrace_ops *ops;		/* whose callback it calls; NULL: the stub does what there is to do */
};

/* Can @site have one? */
bool ftrace_thunk_possible(const struct dyn_ftrace *site);

/* @site's; NULL: it has none (yet). No lock. */
struct ftrace_thunk *ftrace_thunk_of(const struct dyn_ftrace *site);

/* Where its code is, FTRACE_STUB_SIZE bytes. */
unsigned long ftrace_thunk_code(const struct ftrace_thunk *thunk);

/* The address of the part that calls thunk->direct, then goes to the function's body. */
unsigned long ftrace_thunk_direct(const struct ftrace_thunk *thunk);

/*
 * Make thunks for the @n sites of @sites, which have none; they lead to the stubs. Sites that are on are
 * switched off for it, and stay so. Sites that get none are left as they were. ftrace_lock is held.
 */
void ftrace_thunks_make(struct dyn_ftrace **sites, u32 n);

/* @obj is unloaded: its sites lead nowhere. */
void ftrace_thunks_gone(struct ftrace_object *obj);

#endif /* FTRACE_ENGINE_THUNK_H */
