/* SPDX-License-Identifier: MIT */
/* Stopping threads one after the other; see ftrace_visit_threads(). In the helper. */
#include <sys/ptrace.h>

#include "arch.h"
#include "stop-inner.h"

/*
 * So many are asked to stand still at a time: blocked ones take long to come, and who has come does not wait
 * for long behind others.
 */
#define IN_FLIGHT	16u
#define SLOW_NS		20000000ull	/* who is not there by then may be in the kernel for long */
#define TIMEOUT_NS	2000000000ull	/* for one that could come, behind the last one that did */

static void visit(struct stop *s, struct ftrace_stopped *t, u64 since)
{
	u64 stood;

	if (t->pc)
		s->visit(t, s->data);
	arch_syscall(SYS_ptrace, PTRACE_DETACH, t->tid, 0, t->signal, 0, 0);
	stood = stop_now_ns() - since;
	if (stood > s->longest)
		s->longest = stood;
	*t = s->threads[--s->n];
}

/* Are all that have not come in the kernel for long, or ended? */
static bool nobody_comes(struct stop *s)
{
	for (u32 i = 0; i < s->n; i++) {
		char state = stop_task_state(s, s->threads[i].tid);

		if (state != 'D' && state != 'Z' && state != 'X')
			return false;
	}
	return true;
}

int stop_each(struct stop *s)
{
	u64 last = stop_now_ns(), quiet = last;
	struct ftrace_stopped *t;
	u32 next = 0;

	while (s->n || next < s->ntids) {
		bool any = false;

		/* Those who are not there stay seized until this process ends. */
		if (stop_now_ns() - last > SLOW_NS &&
		    (nobody_comes(s) || stop_now_ns() - last > TIMEOUT_NS)) {
			s->n = s->npending = 0;
			last = stop_now_ns();
		}
		while (s->n < IN_FLIGHT && next < s->ntids)
			if (stop_seize(s, s->tids[next++]))
				return s->err;
		/* Since when one may have stood: it did not when there was nothing to be taken. */
		while (stop_take_event(s, &t)) {
			any = true;
			if (t)
				visit(s, t, quiet);
		}
		if (any)
			last = stop_now_ns();
		quiet = stop_now_ns();
		if (s->n)
			stop_wait(200000);
	}
	return 0;
}
