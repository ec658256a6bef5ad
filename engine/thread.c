/* SPDX-License-Identifier: MIT */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch.h"
#include "graph.h"
#include "shadow.h"
#include "site.h"
#include "thread.h"

static struct ftrace_thread nobody;

__thread struct ftrace_thread *ftrace_self __attribute__((tls_model("initial-exec")));
__thread struct ftrace_thread *ftrace_self_or_nobody __attribute__((tls_model("initial-exec"))) =
	&nobody;

static void set_self(struct ftrace_thread *t)
{
	ftrace_thread_choose(t);
	ftrace_self = t;
	ftrace_self_or_nobody = t;
}

u32 ftrace_no_syscalls;

/*
 * Thread states, in pages that a child of fork sees zeroed. A state belongs to the thread whose tid
 * it holds, 0: to nobody. Pages are added and never given back; the arrays are read without a lock.
 */
#define STATES_PER_PAGE	(FT_PAGE_SIZE / sizeof(struct ftrace_thread))
#define MAX_PAGES	4096u

static struct ftrace_thread *pages[MAX_PAGES];
static u32 npages;
static u32 clock_hand;		/* where the search for states of dead threads goes on */
static void keep_counters(struct ftrace_thread *t);

static const struct ftrace_stream_ops *stream_ops;

/* Which process this is: zeroed in a child. */
static s32 *process_pid;

FTRACE_INTERNAL int ftrace_set_stream_ops(const struct ftrace_stream_ops *ops)
{
	if (stream_ops && ops && stream_ops != ops)
		return -EBUSY;
	__atomic_store_n(&stream_ops, ops, __ATOMIC_RELEASE);
	return 0;
}

const struct ftrace_stream_ops *ftrace_stream_ops(void)
{
	return __atomic_load_n(&stream_ops, __ATOMIC_ACQUIRE);
}

void ftrace_thread_init(void)
{
	if (process_pid)
		return;
	process_pid = ft_wipeonfork(FT_PAGE_SIZE);
	if (process_pid)
		*process_pid = ft_getpid();
}

FTRACE_INTERNAL bool ftrace_same_process(void)
{
	return process_pid && READ_ONCE(*process_pid);
}

FTRACE_INTERNAL s32 ftrace_process_pid(void)
{
	s32 pid = process_pid ? READ_ONCE(*process_pid) : 0;

	return pid ? pid : ft_getpid();
}

/*
 * In a child of fork: streams are the parent's, and the shadows of stacks that do not exist here are
 * just memory. Called before the child's first thread state is made.
 */
static void check_forked(void)
{
	if (!process_pid || *process_pid)
		return;
	*process_pid = ft_getpid();
	ftrace_shadow_forked();
	if (stream_ops && stream_ops->forked)
		stream_ops->forked();
}

bool ftrace_thread_dead(const struct ftrace_thread *t)
{
	s32 tid = READ_ONCE(t->tid), pid = process_pid ? READ_ONCE(*process_pid) : 0;

	/* A child of vfork has a number of its own, by which all of its parent's threads were dead. */
	return !tid || arch_syscall(SYS_tgkill, pid ? pid : ft_getpid(), tid, 0, 0, 0, 0) == -ESRCH;
}

static void give_up_stream(struct ftrace_thread *t)
{
	if (stream_ops && stream_ops->thread_gone && t->stream)
		stream_ops->thread_gone(t);
}

/* A state beside a thread's own: with what is beside that. */
static void give_up_beside(struct ftrace_thread *beside)
{
	if (!beside)
		return;
	give_up_beside(beside->reserve);
	give_up_stream(beside);
	arch_syscall(SYS_munmap, (long)beside, FT_PAGE_SIZE, 0, 0, 0, 0);
}

/* A state whose thread is gone: its streams and the shadow of its stack are given up. */
static void reclaim(struct ftrace_thread *t)
{
	const size_t tid_end = offsetof(struct ftrace_thread, tid) + sizeof(t->tid);

	give_up_stream(t);
	give_up_beside(t->reserve);
	give_up_beside(t->events);
	ftrace_shadow_thread_gone(t);
	ftrace_graph_thread_gone(t);
	ftrace_depth_thread_gone(t);
	keep_counters(t);
	ft_memset((char *)t, 0, offsetof(struct ftrace_thread, tid));
	ft_memset((char *)t + tid_end, 0, sizeof(*t) - tid_end);
}

static struct ftrace_thread *claim(struct ftrace_thread *t, s32 tid)
{
	s32 nobody = 0;

	if (!__atomic_compare_exchange_n(&t->tid, &nobody, tid, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return NULL;
	set_self(t);
	return t;
}

/* Take a dead thread's state away from whoever else may be looking at it as well. */
static bool bury(struct ftrace_thread *t, s32 dead)
{
	s32 was = dead;

	if (!__atomic_compare_exchange_n(&t->tid, &dead, -1, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return false;
	ftrace_thread_unchoose(was);
	reclaim(t);
	smp_store_release(&t->tid, 0);
	return true;
}

static struct ftrace_thread *new_page(s32 tid)
{
	struct ftrace_thread *page = ft_wipeonfork(FT_PAGE_SIZE), *none = NULL;
	u32 n;

	if (!page)
		return NULL;
	page->tid = tid;
	for (n = 0; n < MAX_PAGES; n++) {
		none = NULL;
		if (__atomic_compare_exchange_n(&pages[n], &none, page, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED)) {
			u32 have = READ_ONCE(npages);

			while (have < n + 1 &&
			       !__atomic_compare_exchange_n(&npages, &have, n + 1, false,
							    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
				;
			set_self(page);
			return page;
		}
	}
	arch_syscall(SYS_munmap, (long)page, FT_PAGE_SIZE, 0, 0, 0, 0);
	return NULL;
}

/* How many states of others an allocation looks at, so that threads by the thousand stay cheap. */
#define PROBES	8

struct ftrace_thread *ftrace_thread_get(void)
{
	struct ftrace_thread *t = ftrace_self, *mine = NULL;
	u32 n = smp_load_acquire(&npages);
	s32 tid;

	if (t && t->tid)
		return t;
	if (ftrace_no_syscalls && !n)
		return NULL;
	check_forked();
	tid = ft_gettid();
	/*
	 * A state that has this tid already is a dead thread's whose number came round; or our own,
	 * claimed by a call that a signal handler's call has interrupted: then it is still empty.
	 */
	for (u32 i = 0; i < n; i++)
		for (u32 k = 0; k < STATES_PER_PAGE; k++)
			if (READ_ONCE(pages[i][k].tid) == tid)
				mine = &pages[i][k];
	if (mine) {
		reclaim(mine);
		set_self(mine);
		return mine;
	}
	if (n && !ftrace_no_syscalls) {
		u32 total = n * STATES_PER_PAGE;

		for (u32 probe = 0; probe < PROBES; probe++) {
			u32 at = __atomic_fetch_add(&clock_hand, 1, __ATOMIC_RELAXED) % total;
			s32 owner;

			t = &pages[at / STATES_PER_PAGE][at % STATES_PER_PAGE];
			owner = READ_ONCE(t->tid);
			if (owner > 0 && ftrace_thread_dead(t))
				bury(t, owner);
		}
	}
	for (u32 i = 0; i < n; i++)
		for (u32 k = 0; k < STATES_PER_PAGE; k++)
			if (!READ_ONCE(pages[i][k].tid) && (t = claim(&pages[i][k], tid)))
				return t;
	return ftrace_no_syscalls ? NULL : new_page(tid);
}

FTRACE_INTERNAL s32 ftrace_thread_tid(void)
{
	const struct ftrace_thread *t = ftrace_thread_get();

	return t ? t->tid : 0;
}

FTRACE_INTERNAL void ftrace_for_each_thread(void (*func)(struct ftrace_thread *t, void *data),
					    void *data)
{
	u32 n = smp_load_acquire(&npages);

	for (u32 i = 0; i < n; i++)
		for (u32 k = 0; k < STATES_PER_PAGE; k++)
			if (READ_ONCE(pages[i][k].tid) > 0)
				func(&pages[i][k], data);
}

static void drop_stream(struct ftrace_thread *t, void *data)
{
	if (t->reserve)
		drop_stream(t->reserve, data);
	if (t->events)
		drop_stream(t->events, data);
	ftrace_packet_closed(t);
	t->wp = (u64 *)~7ul;
	t->stream = NULL;
	t->top = FTRACE_TOP_NONE;
	t->flags &= ~(u32)FTRACE_THREAD_OFF;
}

void ftrace_threads_drop_streams(void)
{
	ftrace_for_each_thread(drop_stream, NULL);
}

/* Sums of counters that stand in every state and, for states given on, in the sums before. */
struct counter {
	size_t offset;
	u64 before;
};

static struct counter counters[] = {
	{ offsetof(struct ftrace_thread, unshadowed), 0 },
	{ offsetof(struct ftrace_thread, dropped_by_choice), 0 },
};

static u64 *counter_of(struct ftrace_thread *t, const struct counter *c)
{
	return (u64 *)((char *)t + c->offset);
}

static void keep_counters(struct ftrace_thread *t)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(counters); i++)
		__atomic_fetch_add(&counters[i].before, *counter_of(t, &counters[i]),
				   __ATOMIC_RELAXED);
}

struct sum {
	const struct counter *counter;
	u64 total;
};

static void add(struct ftrace_thread *t, void *data)
{
	struct sum *sum = data;

	sum->total += READ_ONCE(*counter_of(t, sum->counter));
}

static u64 sum_up(const struct counter *c)
{
	struct sum sum = { c, READ_ONCE(c->before) };

	ftrace_for_each_thread(add, &sum);
	return sum.total;
}

FTRACE_INTERNAL u64 ftrace_threads_unshadowed(void)
{
	return sum_up(&counters[0]);
}

FTRACE_INTERNAL u64 ftrace_threads_dropped_by_choice(void)
{
	return sum_up(&counters[1]);
}
