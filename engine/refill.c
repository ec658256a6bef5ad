/* SPDX-License-Identifier: MIT */
/*
 * A signal handler may interrupt all that writes to streams at any instruction, write itself, and never
 * return. Only the change from one packet to the next cannot be begun again while it is under way: what a
 * handler writes then goes to a reserve of the stream.
 */
#include <linux/futex.h>
#include <sys/syscall.h>

#include <ftrace/trace-format.h>

#include "arch.h"
#include "callback.h"
#include "refill.h"

/* Who finds a mark in the way that often, and cannot find out, takes it for left. */
#define NESTED_LIMIT	65536u

/*
 * Does @at still hold @mark? It may be no memory any more, so the kernel looks: it compares before it
 * moves those who wait there, nobody, elsewhere.
 */
static bool holds(unsigned long at, u32 mark)
{
	u32 elsewhere = 0;
	long err = arch_syscall(SYS_futex, (long)at, FUTEX_CMP_REQUEUE_PRIVATE, 0, 0,
				(long)&elsewhere, (long)mark);

	return err != -EAGAIN && err != -EFAULT;
}

/*
 * It may have been left by longjmp: a call above its frame on the same stack says so, or that its mark is
 * not there any more.
 */
bool ftrace_mark_is_left(struct ftrace_thread *t, unsigned long frame, u32 mark, u32 *nested,
			 unsigned long slot)
{
	if (ftrace_is_on_stack(t, slot) && ftrace_is_on_stack(t, frame))
		return slot >= frame || READ_ONCE(*(u32 *)frame) != mark;
	if (!ftrace_no_syscalls)
		return !holds(frame, mark);
	return ++*nested >= NESTED_LIMIT;
}

bool ftrace_is_refilling(struct ftrace_thread *t, struct ftrace_thread *to, unsigned long slot)
{
	unsigned long frame = to->refill_frame;

	return frame && !ftrace_mark_is_left(t, frame, to->refill_mark, &to->nested, slot);
}

/* @mark is on the stack of who is going to change @of's packet. */
static void begin_refill(struct ftrace_thread *of, u32 *mark)
{
	of->nested = 0;
	WRITE_ONCE(*mark, (u32)arch_ticks() | 1);
	WRITE_ONCE(of->refill_mark, *mark);
	barrier();
	WRITE_ONCE(of->refill_frame, (unsigned long)mark);
	barrier();
}

static void end_refill(struct ftrace_thread *of, u32 *mark)
{
	barrier();
	WRITE_ONCE(*mark, 0);
	if (of->refill_frame == (unsigned long)mark)
		WRITE_ONCE(of->refill_frame, 0);
	barrier();
}

struct ftrace_thread *ftrace_reserve_of(struct ftrace_thread *base)
{
	struct ftrace_thread *r = READ_ONCE(base->reserve), *none = NULL;

	if (r || ftrace_no_syscalls)
		return r;
	r = ft_wipeonfork(FT_PAGE_SIZE);
	if (!r)
		return NULL;
	r->tid = base->tid;
	r->flags = FTRACE_THREAD_RESERVE | (base->flags & FTRACE_THREAD_EVENTS);
	if (__atomic_compare_exchange_n(&base->reserve, &none, r, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		return r;
	arch_syscall(SYS_munmap, (long)r, FT_PAGE_SIZE, 0, 0, 0, 0);
	return none;
}

/*
 * What @base's reserve holds came before all that @base will write: its packet is closed. @slot: of the
 * call that is recorded.
 */
static void flush_reserve(struct ftrace_thread *t, struct ftrace_thread *base, unsigned long slot)
{
	struct ftrace_thread *r = READ_ONCE(base->reserve);
	u32 mark;

	if (likely(!r) || !ftrace_packet_is_open(r) || ftrace_is_refilling(t, r, slot))
		return;
	begin_refill(r, &mark);
	ftrace_stream_ops()->flush(r);
	end_refill(r, &mark);
}

/*
 * The reserve is flushed behind a change of @base's packet; and ahead of it where a handler left the last
 * one by longjmp.
 */
bool ftrace_refill(struct ftrace_thread *t, struct ftrace_thread *base, struct ftrace_thread *to,
		   u64 now, unsigned long slot)
{
	u32 mark;
	int err;

	if (to == base)
		flush_reserve(t, base, slot);
	begin_refill(to, &mark);
	err = ftrace_stream_ops()->refill(to, now);
	end_refill(to, &mark);
	if (to == base)
		flush_reserve(t, base, slot);
	return !err;
}
