/* SPDX-License-Identifier: MIT */
/*
 * What the tracer knows of a thread. The trampolines use it by generated offsets (asm-offsets.c).
 *
 * It lives in pages a child of fork sees zeroed: wp == end == 0 there sends the child's first
 * record to the slow path, which finds tid == 0 and makes the child a process of its own. The
 * thread finds it through one initial-exec TLS word, ftrace_self.
 */
#ifndef FTRACE_ENGINE_THREAD_H
#define FTRACE_ENGINE_THREAD_H

#include "base.h"

struct fgraph_stack;
struct ftrace_depth;

struct ftrace_thread {
	/* The record stream: slots [wp, end) of the open packet. Written by this thread only. */
	u64 *wp;		/* next slot, or one that is used already (see ftrace_record_slow) */
	u64 *end;		/* wp >= end: slow path; one slot remains behind it, for padding */
	u64 unwritten;		/* what an unwritten slot of this packet holds */
	u32 hi;			/* upper half of the tick counter in this packet */
	s32 tid;
	/*
	 * Nonzero: a callback of some ops is under way in this thread, begun by the code whose frame
	 * is there; see callback.h.
	 */
	unsigned long callback;
	/*
	 * Slot of the innermost recorded call that is hooked, FTRACE_TOP_NONE: not known. The one
	 * around it is in the shadow of the word below its slot. An entry at or above it shows that
	 * an exception or longjmp has left calls: see frames_left().
	 */
	unsigned long top;
	/* The stack whose shadow is mapped: addresses [stack_lo, stack_lo + stack_size). */
	unsigned long stack_lo;
	unsigned long stack_size;
	/* ---- second cache line ---- */
	/*
	 * Where the slow path's frame stands, 0: not in it. A signal handler that gets there too
	 * (its frame is below) gives up; a frame above means that the old one was left by longjmp.
	 */
	unsigned long slow_frame;
	void *stream;		/* the stream backend's own (agent: the ring) */
	struct fgraph_stack *fgraph;	/* calls whose return somebody wants, made when needed */
	struct ftrace_depth *depth;	/* recorded calls, for a limit on their depth */
	u64 dropped;		/* calls not recorded: nested slow path, no stream, no shadow */
	u64 recursion;		/* ops with FTRACE_OPS_FL_RECURSION this thread is in: a mask */
	/* A stack without shadow: not looked up again. */
	unsigned long bad_lo, bad_size;
	u64 unshadowed;		/* calls not hooked because of that */
	u64 dropped_by_choice;	/* calls left out by depth or threshold */
	u32 flags;		/* FTRACE_THREAD_* */
	u32 nested;		/* slow paths given up in a row: see ftrace_record_slow */
	u32 stack_own;		/* the current stack is this thread's own, not a coroutine's */
};

#define FTRACE_TOP_NONE	(~0ul)

enum {
	FTRACE_THREAD_OFF = 1 << 0,	/* records nothing: no stream could be had */
};

/*
 * This thread's state, NULL before its first traced call (new threads start with zeroed TLS).
 * A child of vfork or clone(CLONE_VM) shares it with its parent: compare tid in slow paths.
 */
extern __thread struct ftrace_thread *ftrace_self __attribute__((tls_model("initial-exec")));

/* Make it, if need be. Any path but the fastest. NULL: no memory. Async-signal-safe. */
struct ftrace_thread *ftrace_thread_get(void);

/* Is the thread that owned @t gone? One system call. */
bool ftrace_thread_dead(const struct ftrace_thread *t);

/*
 * Who takes the records. One backend a process, set before anything records.
 *
 * refill() is called in the slow path, never nested in one thread, with signals as they are: a
 * signal handler may run in the middle and its traced calls are dropped until it returns. It
 * gives @t room for at least one record at tick @now: sets wp, end, unwritten and hi = @now >> 32,
 * in an order in which a record written between any two of the stores would be a sound one (end
 * = NULL first, wp and unwritten, hi, end last). It first closes the packet that is open, with a
 * padding record in the next free slot, so that a writer interrupted there fails. For that, end is
 * always set one slot before the packet's real end. Returns 0, or negative: no room, this record
 * is lost (and counted by it).
 * It allocates nothing, takes no lock another thread may hold for long, and makes no system call
 * when nothing but the next packet of the same ring is needed.
 *
 * thread_gone(): @t's thread has ended; its stream may be given to another.
 * forked(): this process is a new child of fork; all streams belong to the parent.
 */
struct ftrace_stream_ops {
	int (*refill)(struct ftrace_thread *t, u64 now);
	void (*thread_gone)(struct ftrace_thread *t);
	void (*forked)(void);
};
FTRACE_INTERNAL int ftrace_set_stream_ops(const struct ftrace_stream_ops *ops);

/* Call @func for every thread state in use, under the thread lock. */
FTRACE_INTERNAL void ftrace_for_each_thread(void (*func)(struct ftrace_thread *t, void *data), void *data);

/* Totals of ->dropped over all threads, also those that ended. */
FTRACE_INTERNAL u64 ftrace_threads_dropped(void);

/* The same of ->unshadowed, and of ->dropped_by_choice. */
FTRACE_INTERNAL u64 ftrace_threads_unshadowed(void);
FTRACE_INTERNAL u64 ftrace_threads_dropped_by_choice(void);

/* The backend; NULL when nothing takes records. */
const struct ftrace_stream_ops *ftrace_stream_ops(void);

/*
 * Is this the process that ftrace_thread_init() ran in, or a child of it that recorded something? False in a
 * child of fork before that. No system call; a child of vfork cannot be told from its parent.
 */
FTRACE_INTERNAL bool ftrace_same_process(void);

/* Once, early. */
void ftrace_thread_init(void);

/*
 * Set once the program may have forbidden system calls (seccomp): slow paths then do only what
 * needs none.
 */
extern FTRACE_INTERNAL u32 ftrace_no_syscalls;

#endif /* FTRACE_ENGINE_THREAD_H */
