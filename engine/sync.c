/* SPDX-License-Identifier: MIT */
#include <sys/syscall.h>
#include <time.h>

#include "arch.h"
#include "ops.h"
#include "thread.h"

struct wait {
	bool others;		/* somebody is in a callback */
};

static void look(struct ftrace_thread *t, void *data)
{
	struct wait *w = data;

	if (READ_ONCE(t->in_callback) && t != ftrace_self && !ftrace_thread_dead(t))
		w->others = true;
}

/* One thread at a time: another's callback may begin while this one's is waited for. */
static void wait_for(struct ftrace_thread *t, void *data)
{
	struct timespec pause = { 0, 50000 };

	for (unsigned int i = 0; READ_ONCE(t->in_callback) && t != ftrace_self; i++) {
		if (i < 1000)
			continue;
		if (i % 64 == 0 && ftrace_thread_dead(t))
			return;
		arch_syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
	}
}

int ftrace_synchronize(void)
{
	struct wait w = { false };

	if (ftrace_self && ftrace_self->in_callback)
		return -EDEADLK;
	/*
	 * Trampolines set in_callback before they read the site's ops, with plain
	 * instructions. This barrier on every processor stands between our change of the ops and
	 * our look at the marks: a thread has either set its own or reads the new ops.
	 */
	arch_poke_sync();
	ftrace_for_each_thread(look, &w);
	if (w.others)
		ftrace_for_each_thread(wait_for, NULL);
	return 0;
}
