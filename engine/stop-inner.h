/* SPDX-License-Identifier: MIT */
/*
 * In the helper:
 *
 *	stop.c		the helper itself, and who asks for it
 *	stop-seize.c	single threads are made to stand still
 *	stop-all.c	all at once
 *	stop-each.c	one after the other
 */
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

#define STOP_MAX_TID	(4u << 20)	/* the kernel's own limit (PID_MAX_LIMIT) */

/* ---- stop-seize.c ---- */

u64 stop_now_ns(void);

/* Sets why it failed. Returns @err. */
int stop_refuse(struct stop *s, int err, const char *why);

/* Reads /proc/PID/task/TID/@name as a string. False: cannot. */
bool stop_task_file(struct stop *s, s32 tid, const char *name, char *buf, size_t size);

/* The digits at @*p, which goes behind them. */
u64 stop_number(const char **p, unsigned int base);

/* Its state as ps(1) shows it; 'X': it is gone. */
char stop_task_state(struct stop *s, s32 tid);

/* Ask it to stand still: into s->threads. 0, also where it is gone; -errno. */
int stop_seize(struct stop *s, s32 tid);

/*
 * What the kernel has to say of seized threads, without waiting. False: nothing more. *@t: of whom; it stands, and
 * is filled in; NULL: it has ended, or is nobody's.
 */
bool stop_take_event(struct stop *s, struct ftrace_stopped **t);

/* As the kernel has it: words of a long's size, the first signals in the first. */
struct stop_signals {
	unsigned long word[sizeof(u64) / sizeof(long)];
};

static inline void stop_add_signal(struct stop_signals *set, unsigned int sig)
{
	set->word[(sig - 1) / (8 * sizeof(long))] |= 1ul << (sig - 1) % (8 * sizeof(long));
}

/* Until something happens to a seized thread, for at most @ns. */
void stop_wait(long ns);

/* ---- stop-all.c, stop-each.c: as @s says; in s->err what came of it ---- */

int stop_all(struct stop *s);
int stop_each(struct stop *s);

#endif /* FTRACE_ENGINE_STOP_INNER_H */
