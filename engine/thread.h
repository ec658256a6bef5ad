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
	u64 unwritten;		/* what an unwritten slot of this packet holds */
	u64 *wp;		/* next slot, or one that is used already (see RECORD) */
	u64 *end;		/* wp >= end: slow path; one slot remains behind it, for padding */
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
	/* The stack whose shadow is mapped: addresses [stack_lo, stack_lo + stack_size). Of events: see payload.c. */
	unsigned long stack_lo;
	unsigned long stack_size;
	/* ---- second cache line ---- */
	u32 unchosen;		/* nonzero: tracers are told nothing of this thread; see choose.c */
	u32 unchosen_events;	/* ... events are not hit in it */
	/*
	 * Where on the stack who is changing the packet has put refill_mark, 0: nobody is. A signal
	 * handler that wants to as well writes to the reserve. See refill.h.
	 */
	unsigned long refill_frame;
	struct ftrace_thread *reserve;	/* see refill.h; NULL: not needed yet */
	void *stream;		/* the stream backend's own (agent: the ring) */
	struct fgraph_stack *fgraph;	/* calls whose return somebody wants, made when needed */
	struct ftrace_depth *depth;	/* recorded calls, for a limit on their depth */
	u64 recursion;		/* ops with FTRACE_OPS_FL_RECURSION this thread is in: a mask */
	/* A stack without shadow: not looked up again. */
	unsigned long bad_lo, bad_size;
	u64 unshadowed;		/* calls not hooked because of that */
	u64 dropped_by_choice;	/* calls left out by depth or threshold */
	u32 flags;		/* FTRACE_THREAD_* */
	u32 refill_mark;
	u32 refills;		/* begun so far */
	u32 nested;		/* times refill_frame was in the way in a row */
	u32 stack_own;		/* the current stack is this thread's own, not a coroutine's */
	u32 klp_looks;		/* looks at its own stack for patches, and since which look at all: */
	u32 klp_round;		/* see livepatch-thread.c */
	/*
	 * What it knows of a live patching transition without looking into shared tables: the view in which it has
	 * gone over (klp_view.seq); when it was seen that it has not (klp_epoch).
	 */
	unsigned long klp_gone, klp_stays;
	/* Nonzero: handlers of a probe run, called by the code whose frame is there. */
	unsigned long kprobe;
	struct ftrace_thread *events;	/* its stream of events, see payload.h; NULL: it had none yet */
};

#define FTRACE_TOP_NONE	(~0ul)

enum {
	FTRACE_THREAD_OFF = 1 << 0,	/* records nothing: no stream could be had */
	FTRACE_THREAD_RESERVE = 1 << 1,	/* not a thread's own state, but its reserve */
	FTRACE_THREAD_EVENTS = 1 << 2,	/* ... but its stream of events, or the reserve of that */
};

/*
 * This thread's state, NULL before its first traced call (new threads start with zeroed TLS).
 * A child of vfork or clone(CLONE_VM) shares it with its parent: compare tid in slow paths.
 */
extern __thread struct ftrace_thread *ftrace_self __attribute__((tls_model("initial-exec")));

/*
 * The same for trampolines that do not ask whether there is a state: before the first call it is one
 * without a stack and without room for records, which sends them to the slow path.
 */
extern __thread struct ftrace_thread *ftrace_self_or_nobody __attribute__((tls_model("initial-exec")));

/* Make it, if need be. Any path but the fastest. NULL: no memory. Async-signal-safe. */
struct ftrace_thread *ftrace_thread_get(void);

/* The same, without a call where it is made already. */
static inline struct ftrace_thread *ftrace_thread_quick(void)
{
	struct ftrace_thread *t = ftrace_self;

	return likely(t && t->tid) ? t : ftrace_thread_get();
}

/* ---- choose.c: tracing only some threads ---- */

enum ftrace_choice { FTRACE_CHOICE_TRACERS, FTRACE_CHOICE_EVENTS, FTRACE_CHOICES };

#define FTRACE_MAX_CHOSEN	64u

/*
 * Only the @n threads @tids are to be told of, to tracers (FTRACE_OPS_FL_RECORD, and graph ops with
 * FTRACE_OPS_FL_THREADS) or in ->unchosen_events; 0: all. Threads that come later are not among them. In effect for calls that
 * begin when it has returned. 0 or -errno: -ENOSPC beyond FTRACE_MAX_CHOSEN.
 */
FTRACE_INTERNAL int ftrace_choose_threads(enum ftrace_choice choice, const s32 *tids, u32 n);

/* Those that are chosen, into @tids. Their number, 0: all are. */
FTRACE_INTERNAL u32 ftrace_chosen_threads(enum ftrace_choice choice, s32 tids[FTRACE_MAX_CHOSEN]);

/* Fill in @t->unchosen: it has got its tid. */
void ftrace_thread_choose(struct ftrace_thread *t);

/* Thread @tid has ended: another of its number is not the one that was chosen. */
void ftrace_thread_unchoose(s32 tid);

/* Is the calling thread one in which events are not hit? */
FTRACE_INTERNAL bool ftrace_thread_hides_events(void);

/* Is anything chosen for tracers? */
bool ftrace_threads_are_chosen(void);

/* Is the thread that owned @t gone? One system call. */
bool ftrace_thread_dead(const struct ftrace_thread *t);

/*
 * Who takes the records. One backend a process, set before anything records.
 *
 * refill() is called in the slow path, never nested for one @t, with signals as they are: a
 * signal handler may run in the middle, and refill another @t with the same tid, the reserve. It
 * gives @t room for at least one record at tick @now: ftrace_packet_closed() first, then wp,
 * unwritten and hi = @now >> 32, ftrace_packet_opened() last. It first closes the packet that is open, with a
 * padding record in the next free slot, so that a writer interrupted there fails. For that, end is
 * always set one slot before the packet's real end. Returns 0, or negative: no room, this record
 * is lost (and counted by it).
 * It allocates nothing, takes no lock another thread may hold for long, and makes no system call
 * when nothing but the next packet of the same ring is needed.
 *
 * flush(): @t's open packet, if there is one, is complete. Called as refill().
 * lost(): a record of @t is lost, or a call that would have made some; count it. May be NULL.
 * thread_gone(): @t's thread has ended; its stream may be given to another.
 * forked(): this process is a new child of fork; all streams belong to the parent.
 */
struct ftrace_stream_ops {
	int (*refill)(struct ftrace_thread *t, u64 now);
	void (*flush)(struct ftrace_thread *t);
	void (*lost)(struct ftrace_thread *t);
	void (*thread_gone)(struct ftrace_thread *t);
	void (*forked)(void);
};

/*
 * In between @t has no packet: its end is a number that is no address, another one each time. A signal
 * handler may do a whole change of packets when we have given up the mark that forbids it: then end
 * is not that number any more, and what it opened stays.
 */
#define FTRACE_END_NUMBERS	4096u

static inline bool ftrace_packet_is_open(const struct ftrace_thread *t)
{
	return (unsigned long)READ_ONCE(t->end) >= FTRACE_END_NUMBERS;
}

static inline u64 *ftrace_packet_closed(struct ftrace_thread *t)
{
	u64 *end = (u64 *)(unsigned long)(t->refills++ % FTRACE_END_NUMBERS);

	if (!READ_ONCE(t->wp))		/* never below end, so that it sends all to the slow path */
		WRITE_ONCE(t->wp, (u64 *)~7ul);
	barrier();
	WRITE_ONCE(t->end, end);
	barrier();
	return end;
}

/* @closed: what ftrace_packet_closed() returned. */
static inline void ftrace_packet_opened(struct ftrace_thread *t, u64 *closed, u64 *end)
{
	barrier();
	WRITE_ONCE(t->refill_frame, 0);
	barrier();
	__atomic_compare_exchange_n(&t->end, &closed, end, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
}

FTRACE_INTERNAL int ftrace_set_stream_ops(const struct ftrace_stream_ops *ops);

/* Call @func for every thread state in use, under the thread lock. */
FTRACE_INTERNAL void ftrace_for_each_thread(void (*func)(struct ftrace_thread *t, void *data), void *data);

/* No thread has a stream any more: see ftrace_guest_drop_streams(). */
void ftrace_threads_drop_streams(void);

/* Totals of ->unshadowed and of ->dropped_by_choice over all threads, also those that ended. */
FTRACE_INTERNAL u64 ftrace_threads_unshadowed(void);
FTRACE_INTERNAL u64 ftrace_threads_dropped_by_choice(void);

/* The backend; NULL when nothing takes records. */
const struct ftrace_stream_ops *ftrace_stream_ops(void);

/*
 * Is this the process that ftrace_thread_init() ran in, or a child of it that recorded something? False in a
 * child of fork before that. No system call; a child of vfork cannot be told from its parent.
 */
FTRACE_INTERNAL bool ftrace_same_process(void);

/* This process's number, without a system call; in a child of vfork its parent's. */
FTRACE_INTERNAL s32 ftrace_process_pid(void);

/* The calling thread's number, 0: it has no state and can have none. */
FTRACE_INTERNAL s32 ftrace_thread_tid(void);

/* Once, early. */
void ftrace_thread_init(void);

/*
 * Set once the program may have forbidden system calls (seccomp): slow paths then do only what
 * needs none.
 */
extern FTRACE_INTERNAL u32 ftrace_no_syscalls;

#endif /* FTRACE_ENGINE_THREAD_H */
