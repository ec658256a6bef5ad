/* SPDX-License-Identifier: MIT */
/* What stop.c (all threads at once) and stop-each.c (one after the other) share, in the helper. */
#ifndef FTRACE_ENGINE_STOP_INNER_H
#define FTRACE_ENGINE_STOP_INNER_H

#include "stop.h"

/* One stop; in memory that both processes see. */
struct stop {
	ftrace_stopped_work_t *work;
	void *data;
	struct ftrace_stopped *threads;
	u32 room;			/* for so many of them */
	u8 *seen;			/* a bit for every tid there may be */
	u32 n, npending;
	s32 pid, caller, helper;
	unsigned long caller_sp;
	u32 go;				/* the helper may begin */
	u32 done;			/* ... and has come to its end */
	int err;
	const char *why;
	const s32 *tids;		/* one after the other, instead of all at once: these */
	u32 ntids;
	ftrace_visit_t *visit;
	u64 longest;			/* that any of them stood */
	u64 began, ended;		/* the time the first thread stood, and the last */
};

u64 stop_now_ns(void);

/* Sets why it failed. Returns @err. */
int stop_refuse(struct stop *s, int err, const char *why);

/* Its state as ps(1) shows it; 'X': it is gone. */
char stop_task_state(struct stop *s, s32 tid);

/* Ask it to stand still: into s->threads. 0, also where it is gone; -errno. */
int stop_seize(struct stop *s, s32 tid);

/*
 * What the kernel has to say of seized threads, without waiting. False: nothing more. *@t: of whom; it stands, and
 * is filled in; NULL: it has ended, or is nobody's.
 */
bool stop_take_event(struct stop *s, struct ftrace_stopped **t);

/* Until something happens to a seized thread, for at most @ns. */
void stop_wait(long ns);

/* ---- stop-each.c ---- */

int stop_each(struct stop *s);

#endif /* FTRACE_ENGINE_STOP_INNER_H */
