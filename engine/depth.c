/* SPDX-License-Identifier: MIT */
/*
 * Which calls are recorded: by depth and by duration.
 *
 * The depth of a call is the number of recorded calls around it whose frames are still there: the slots
 * of at most max_depth of them, per thread. A frame that is not above the new one was left by
 * longjmp or an exception and falls out. (Coroutines that switch stacks in the middle of recorded
 * calls are taken for the same thing: their depth starts anew.)
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "graph.h"
#include "ops.h"
#include "thread.h"

u64 ftrace_threshold;
static u32 max_depth;

struct ftrace_depth {
	u32 depth;
	unsigned long slots[FTRACE_MAX_DEPTH];
};

bool ftrace_graph_is_choosy(void)
{
	return max_depth || ftrace_threshold;
}

FTRACE_INTERNAL int ftrace_graph_set_max_depth(u32 depth)
{
	if (depth > FTRACE_MAX_DEPTH)
		return ft_log(-EINVAL, "max_graph_depth: %u is more than %u", depth,
			      FTRACE_MAX_DEPTH);
	ft_lock(ftrace_lock);
	WRITE_ONCE(max_depth, depth);
	ftrace_update_all();
	ft_unlock(ftrace_lock);
	return 0;
}

FTRACE_INTERNAL int ftrace_graph_set_threshold(u64 ticks)
{
	ft_lock(ftrace_lock);
	WRITE_ONCE(ftrace_threshold, ticks);
	ftrace_update_all();
	ft_unlock(ftrace_lock);
	return 0;
}

static struct ftrace_depth *depth_of(struct ftrace_thread *t)
{
	void *p;

	if (t->depth || ftrace_no_syscalls)
		return t->depth;
	p = ft_mmap(NULL, ALIGN_UP(sizeof(struct ftrace_depth), FT_PAGE_SIZE),
		    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!ft_is_err(p))
		t->depth = p;
	return t->depth;
}

bool ftrace_depth_enter(struct ftrace_thread *t, unsigned long slot)
{
	u32 max = READ_ONCE(max_depth);
	struct ftrace_depth *d;

	if (!max)
		return true;
	d = depth_of(t);
	if (!d)
		return false;
	ftrace_depth_exit(t, slot);
	if (d->depth >= max)
		return false;
	d->slots[d->depth++] = slot;
	return true;
}

void ftrace_depth_exit(struct ftrace_thread *t, unsigned long slot)
{
	struct ftrace_depth *d = t->depth;

	while (d && d->depth && d->slots[d->depth - 1] <= slot)
		d->depth--;
}

void ftrace_depth_thread_gone(struct ftrace_thread *t)
{
	if (t->depth)
		arch_syscall(SYS_munmap, (long)t->depth,
			     ALIGN_UP(sizeof(struct ftrace_depth), FT_PAGE_SIZE), 0, 0, 0, 0);
	t->depth = NULL;
}
