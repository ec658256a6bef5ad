/* SPDX-License-Identifier: MIT */
/*
 * Callbacks that leave vector registers alone need none saved around them (FTRACE_OPS_FL_GENERAL_REGS). Few are
 * compiled so that they can say so; of small ones it can be seen from their code: no instruction that can be reached
 * changes one, and none leads where cannot be seen (through a linkage table, a pointer). Where it is seen the flag is
 * set, and another that says whose word it is.
 *
 * It holds while that code stays what it is. When a function in it is to be replaced, or probed, all that was seen is
 * given up for good before that is done (probes_general_end()): who does such things to callbacks does without this.
 */
#ifndef FTRACE_ENGINE_GENERAL_H
#define FTRACE_ENGINE_GENERAL_H

#include <ftrace/fgraph.h>

#include "kprobe.h"
#include "ops.h"

/* It has been given up: flags that were set for it are about to be cleared, and count no more. */
extern bool ftrace_general_over;

/* Before they are registered, and behind that. ftrace_lock is held, as in all that follows. */
void ftrace_ops_see_general(struct ftrace_ops *ops);
void ftrace_ops_forget_general(struct ftrace_ops *ops);
void fgraph_ops_see_general(struct fgraph_ops *gops);
void fgraph_ops_forget_general(struct fgraph_ops *gops);
void kprobe_see_general(struct kprobe *kp, const struct unwind_objects *objects);	/* what is loaded */
void kprobe_forget_general(struct kprobe *kp);

/* Do they need no vectors saved? */
static inline bool ftrace_ops_is_general(const struct ftrace_ops *ops)
{
	return ops->flags & FTRACE_OPS_FL_GENERAL_REGS &&
	       !(ftrace_general_over && ops->flags & FTRACE_OPS_FL_SEEN_GENERAL);
}

static inline bool fgraph_ops_is_general(const struct fgraph_ops *gops)
{
	return gops->flags & FGRAPH_OPS_FL_GENERAL_REGS &&
	       !(ftrace_general_over && gops->flags & FGRAPH_OPS_FL_SEEN_GENERAL);
}

static inline bool kprobe_is_general(const struct kprobe *kp)
{
	return kp->flags & KPROBE_FLAG_GENERAL_REGS &&
	       !(ftrace_general_over && kp->flags & KPROBE_FLAG_SEEN_GENERAL);
}

/* Does what was seen of callbacks rest on the code at @addr? Then see above before that is changed. */
bool ftrace_general_at(unsigned long addr);

/* Give it up, but for probes, which kprobe.c does. */
void ftrace_general_end(void);

#endif /* FTRACE_ENGINE_GENERAL_H */
