/* SPDX-License-Identifier: MIT */
/*
 * The agent: what runs inside a traced process that did not ask for it.
 *
 * It finds the recorder's session (session.c), tells it of this process image (map.c), gives
 * every thread a ring to write records into (ring.c, ring-make.c), and sets the tracer up as the
 * session's settings say (control.c and its groups of files). Plans for objects that were not compiled for
 * tracing come from the recorder (plan.c). agent.c ties them together.
 *
 * No descriptor is kept open and no libc function called: the program may close, replace or
 * forbid what it likes.
 */
#ifndef FTRACE_AGENT_H
#define FTRACE_AGENT_H

#include <ftrace/trace-format.h>

#include "engine/base.h"
#include "engine/thread.h"

struct ftrace_object;

#define AGENT_DIR_MAX	200		/* longest session path, NUL included */
#define AGENT_PATH_MAX	(AGENT_DIR_MAX + 48)

/* This process. A child of fork starts with a copy, which agent_forked() makes its own. */
struct agent {
	char dir[AGENT_DIR_MAX];	/* the session directory */
	struct ftrace_session *session;
	size_t session_size;
	s32 pid;			/* of the process that owns map and rings; a vfork child shares it */
	u32 gen;
	struct ftrace_map_header *map;	/* NULL: nothing is recorded */
	bool forked;			/* a child of fork: may be one of thousands */
	u32 off;			/* recording ended for good in this process */
};
extern struct agent agent;

/* ---- session.c ---- */

/*
 * Map the control file of the session in @dir. -ENODEV: no session there, of another version, or
 * its recorder is gone: the caller leaves the program alone.
 */
int agent_session_open(const char *dir);

/*
 * The same when there was a session before, which has ended: nobody writes to it any more, and what
 * is left of it in memory is given back.
 */
int agent_session_reopen(const char *dir);

/* "DIR/PID.GEN.SUFFIX" of this process image into @buf (AGENT_PATH_MAX bytes). */
void agent_path(char *buf, u32 gen, const char *suffix);

/* The smallest GEN a new image of @pid may have. */
u32 agent_gen_floor(s32 pid);

/* A file was made in the session directory: the recorder is to look. */
void agent_file_made(void);

/* Wake the recorder if it sleeps. One system call at most, none where they may be forbidden. */
void agent_ring_doorbell(void);

/*
 * Is the recorder gone? Its heartbeat must have stood still for a while, so the first answer is
 * always no. Two system calls: only for threads that have nothing better to do.
 */
bool agent_recorder_gone(void);

/* Does a process of its number exist? One system call; see the above for what it does not tell. */
bool agent_recorder_exists(void);

/* No thread of this process records any more, for good. */
void agent_stop(void);

/*
 * Log callback: a line "COMM[PID]: MSG" at the end of the session's file `log`, or where that is out
 * of reach, in its control file.
 */
void agent_log(const char *msg);

u64 agent_clock_ns(int clock);		/* clock_gettime() by system call */

/* ---- map.c: the process map ---- */

/*
 * Make PID.GEN.map for this process, GEN the first free number, and set agent.pid, gen and map.
 * @parent_pid, @parent_gen, @inherited: as in struct ftrace_map_header. Returns 0 or -errno, and
 * agent.map is NULL then.
 */
int agent_map_create(u32 parent_pid, u32 parent_gen, u64 inherited);

/* No thread looks at it any more: it goes. */
void agent_map_drop(void);

/* Bytes of text written so far by this process image (a fork's child: by its parent at the fork). */
u64 agent_map_used(void);

/* Make room for @bytes more, while the files can still be opened. 0 or -errno. */
int agent_map_reserve(size_t bytes);

/* For ftrace_set_object_notify(): describe the object and its sites, or its end, in the map. */
void agent_map_object(struct ftrace_object *obj, bool gone);

/* Add a line, without its newline. 0 or -errno. */
int agent_map_line(const char *line);

/* ---- ring.c: records (struct ftrace_stream_ops) ---- */

int agent_refill(struct ftrace_thread *t, u64 now);
void agent_flush(struct ftrace_thread *t);
void agent_lost(struct ftrace_thread *t);
void agent_thread_gone(struct ftrace_thread *t);

/* The rings are the parent's: forget them. */
void agent_rings_forked(void);

/* See that @count rings are free for threads to come, while files can still be made. */
void agent_rings_reserve(u32 count);

/* Nonzero: events with payload may be written, so that rings for those are kept free as well. */
extern u32 agent_rings_for_events;

/* ---- snapshot.c ---- */

/*
 * Have the recorder copy what all rings hold now. Async-signal-safe. 0; -EOPNOTSUPP: no flight recorder (--overwrite);
 * -EBUSY: one is being written; -ESHUTDOWN: nothing is recorded.
 */
int agent_snapshot(void);

/* ---- plan.c ---- */

/*
 * For ftrace_set_object_plan(): the path of the plan for the object at @object into @path. If
 * the session has none yet the recorder is asked, and waited for. -errno: there is none; why was logged.
 */
int agent_object_plan(const char *object, u64 dev, u64 ino, char *path, size_t size);

/* What the object is called in a session. 0 or -errno. */
int agent_plan_id(const char *object, u64 ino, char id[FTRACE_PLAN_ID_MAX]);

/* ---- tracer-file.c ---- */

/* For tracers: see tracer_file() in tracers/tracer.h. */
void *agent_tracer_file(const char *suffix, u64 offset, size_t bytes);

/* ---- agent.c ---- */

extern const struct ftrace_stream_ops agent_stream_ops;

/* The process ends: leave the totals in its map. */
void agent_end(void);

/* Begin to take records with the session that is open. 0 or -errno, logged. */
int agent_start(void);

/* Are records taken? */
static inline bool agent_is_recording(void)
{
	return agent.map && !READ_ONCE(agent.off);
}

/* Let the library ask us which objects are wanted, and for their plans. */
void agent_look_at_objects(void);

/* The rings of a session that has ended go, unless a thread is in the middle of writing: -EAGAIN. */
int agent_drop_rings(void);

/*
 * Its opposite, in a program that was attached to: no tracer, all code as it was, no more records. 0 or -errno,
 * logged: some code could not be given back yet.
 */
int agent_leave(void);

#endif /* FTRACE_AGENT_H */
