/* SPDX-License-Identifier: MIT */
/*
 * Making every other thread of the process stand still, for changes of code that take more than one
 * byte at a time.
 *
 * Nobody can ptrace the threads of its own process, so a helper does it: a process that shares our memory,
 * lives for the length of one stop, and tells nobody of its end. System calls that the stop
 * interrupts go on as if nothing had been.
 */
#ifndef FTRACE_ENGINE_STOP_H
#define FTRACE_ENGINE_STOP_H

#include "base.h"

/* A thread that stands still; the calling one is among them. */
struct ftrace_stopped {
	s32 tid;
	u32 signal;			/* to be given to it when it goes on */
	unsigned long pc;		/* 0: the calling thread */
	unsigned long sp, stack_end;	/* end of the mapping that sp is in */
	unsigned long new_pc;		/* set by the work: it goes on there; 0: where it is */
	bool restarts;			/* it will go back ARCH_SYSCALL_SIZE bytes, to its system call */
	bool fixed;			/* in the kernel for long: new_pc cannot be had */
	bool pending;			/* not yet standing */
};

/*
 * Are the stacks of all @threads together more than may be looked through, word by word, while they
 * stand still?
 */
static inline bool ftrace_stacks_too_large(const struct ftrace_stopped *threads, u32 n)
{
	unsigned long total = 0;

	for (u32 i = 0; i < n; i++)
		if (threads[i].stack_end > threads[i].sp)
			total += threads[i].stack_end - threads[i].sp;
	return total > 256ul << 20;
}

/*
 * What is done while they stand: in the helper, so it may take no lock, call nothing but base.h's
 * functions, and not log. Returns what ftrace_stop_threads() is to return.
 */
typedef int ftrace_stopped_work_t(struct ftrace_stopped *threads, u32 n, void *data);

/*
 * Stop the others, call @work, let them go on. Also called with @work where there is one thread
 * only: then without a helper. -errno, and in *@why why in words (static text): they could not be
 * stopped, and @work was not called. -EAGAIN: it may go better in a moment. May be called with locks held
 * that others wait for; blocks all signals meanwhile.
 */
int ftrace_stop_threads(ftrace_stopped_work_t *work, void *data, const char **why);

/*
 * Stop the threads @tids, @n of them, each for itself: the others run meanwhile, and it goes on as soon as @visit
 * has looked at it, which is called in the helper as the work above; @t's stack_end is not filled in. The
 * caller must not be among them. Threads that are gone, or do not come since they are in the kernel
 * for long, are not visited. 0, or -errno and *@why: none or not all were.
 */
typedef void ftrace_visit_t(struct ftrace_stopped *t, void *data);
int ftrace_visit_threads(const s32 *tids, u32 n, ftrace_visit_t *visit, void *data,
			 const char **why);

/* Threads of this process; 0: it cannot be found out. */
u32 ftrace_count_threads(void);

#endif /* FTRACE_ENGINE_STOP_H */
