/* SPDX-License-Identifier: MIT */
#include <sys/syscall.h>
#include <time.h>

#include "arch.h"
#include "callback.h"
#include "ops.h"
#include "shadow.h"
#include "thread.h"

long ftrace_callback_replace(struct ftrace_thread *t, unsigned long slot, unsigned long frame)
{
	if (slot <= t->callback)
		return false;
	/*
	 * Further up, or on another stack: which one is that? A child of clone(CLONE_VM) that has its
	 * parent's thread pointer shares @t with it: what one of them left cannot be told.
	 */
	if (slot - t->stack_lo >= t->stack_size &&
	    (ftrace_no_syscalls || t->tid != ft_gettid() || ftrace_shadow_enter(t, slot)))
		return false;
	if (!ftrace_frame_is_left(t, t->callback, slot))
		return false;
	t->recursion = 0;
	WRITE_ONCE(t->callback, frame);
	return true;
}

bool ftrace_in_callback(unsigned long frame)
{
	struct ftrace_thread *t = ftrace_self;

	if (!t || !t->callback)
		return false;
	return !ftrace_callback_replace(t, frame, 0);
}

struct wait {
	bool others;		/* somebody is in a callback */
};

static void look(struct ftrace_thread *t, void *data)
{
	struct wait *w = data;

	if (READ_ONCE(t->callback) && t != ftrace_self && !ftrace_thread_dead(t))
		w->others = true;
}

/* One thread at a time: another's callback may begin while this one's is waited for. */
static void wait_for(struct ftrace_thread *t, void *data)
{
	struct timespec pause = { 0, 50000 };

	for (unsigned int i = 0; READ_ONCE(t->callback) && t != ftrace_self; i++) {
		if (i < 1000)
			continue;
		if (i % 64 == 0 && ftrace_thread_dead(t))
			return;
		arch_syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
	}
}

FTRACE_INTERNAL int ftrace_synchronize(void)
{
	struct wait w = { false };

	if (ftrace_self && ftrace_self->callback)
		return -EDEADLK;
	/*
	 * Trampolines set t->callback before they read the site's ops, with plain
	 * instructions. This barrier on every processor stands between our change of the ops and
	 * our look at the marks: a thread has either set its own or reads the new ops.
	 */
	arch_poke_sync();
	ftrace_for_each_thread(look, &w);
	if (w.others)
		ftrace_for_each_thread(wait_for, NULL);
	return 0;
}
