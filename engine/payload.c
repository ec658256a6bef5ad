/* SPDX-License-Identifier: MIT */
#include <sys/syscall.h>

#include <ftrace/trace-event.h>

#include "arch.h"
#include "callback.h"
#include "graph.h"
#include "payload.h"
#include "refill.h"

/*
 * Events that are being written: several when signal handlers have interrupted each other. They
 * keep a handler that writes until its ring comes round from using the memory that an
 * interrupted writer will write to when it goes on. In the page of the stream's state, behind it.
 */
struct ftrace_pending {
	u64 *slot;		/* 0: nobody */
	unsigned long frame;	/* where on its stack the writer has put mark */
	u32 mark;
	u32 nested;
};

#define MAX_PENDING	16u

static struct ftrace_pending *pending_of(const struct ftrace_thread *to)
{
	return (struct ftrace_pending *)(to + 1);
}

_Static_assert(sizeof(struct ftrace_thread) + MAX_PENDING * sizeof(struct ftrace_pending) <=
	       FT_PAGE_SIZE, "both are in one page");

FTRACE_INTERNAL bool ftrace_payload_is_pending(const struct ftrace_thread *t, const void *lo, const void *hi)
{
	const struct ftrace_pending *p = pending_of(t);

	for (u32 i = 0; i < MAX_PENDING; i++) {
		const void *slot = READ_ONCE(p[i].slot);

		if (slot >= lo && slot < hi)
			return true;
	}
	return false;
}

/*
 * An entry for @p's writer. Those that others left by longjmp are free again. NULL: handlers have
 * interrupted each other more often than that.
 */
static struct ftrace_pending *take_pending(struct ftrace_thread *t, struct ftrace_payload *p,
					   unsigned long slot)
{
	struct ftrace_pending *all = pending_of(p->to), *e;

	for (e = all; e < all + MAX_PENDING; e++) {
		if (likely(!READ_ONCE(e->slot)) ||
		    ftrace_mark_is_left(t, e->frame, e->mark, &e->nested, slot))
			break;
	}
	if (e == all + MAX_PENDING)
		return NULL;
	WRITE_ONCE(e->slot, NULL);
	barrier();
	e->frame = (unsigned long)&p->mark;
	e->mark = p->mark;
	e->nested = 0;
	barrier();
	return e;
}

/* The state of @t's stream of events, made by its first event. NULL: cannot be had. */
static struct ftrace_thread *events_of(struct ftrace_thread *t)
{
	struct ftrace_thread *ev = READ_ONCE(t->events), *none = NULL;

	if (likely(ev) || ftrace_no_syscalls)
		return ev;
	ev = ft_wipeonfork(FT_PAGE_SIZE);
	if (!ev)
		return NULL;
	ev->tid = t->tid;
	ev->flags = FTRACE_THREAD_EVENTS;
	if (__atomic_compare_exchange_n(&t->events, &none, ev, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		return ev;
	arch_syscall(SYS_munmap, (long)ev, FT_PAGE_SIZE, 0, 0, 0, 0);
	return none;
}

/*
 * The place for the event: its header stands there when it returns true. Steps as for a record: the write
 * pointer, the clock, the exchange, the write pointer again; a taken slot's header says how far to go.
 */
static bool reserve(struct ftrace_thread *t, struct ftrace_thread *base, struct ftrace_payload *p,
		    u32 id, unsigned long at)
{
	/* Each turn but the last finds a slot taken by a handler, or ends a packet. */
	for (u32 i = 0; i < FTRACE_PACKET_SIZE; i++) {
		struct ftrace_thread *to = p->to;
		u64 unwritten = READ_ONCE(to->unwritten), now, header;
		u64 *slot, *end;

		barrier();
		slot = READ_ONCE(to->wp);
		barrier();
		now = arch_ticks();
		end = READ_ONCE(to->end);
		if (!slot || slot >= end || (u32)(now >> 32) != to->hi ||
		    ((unsigned long)slot ^ (unsigned long)end) >= FTRACE_PACKET_SIZE ||
		    (size_t)(end - slot) < 1 + p->words) {
			if (ftrace_is_refilling(t, to, at)) {
				if (to != base || !ftrace_reserve_of(base))
					break;
				p->to = base->reserve;
				continue;
			}
			if (!ftrace_refill(t, base, to, now, at))
				return false;
			continue;
		}
		p->pending = take_pending(t, p, at);
		if (!p->pending)
			break;
		header = ftrace_event_header((u32)now, id | FTRACE_EVENT_INCOMPLETE,
					     8 * p->words);
		WRITE_ONCE(p->pending->slot, slot);
		barrier();
		if (__atomic_compare_exchange_n(slot, &unwritten, header, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED)) {
			WRITE_ONCE(to->wp, slot + 1 + p->words);
			p->data = slot + 1;
			p->header = header;
			return true;
		}
		WRITE_ONCE(p->pending->slot, NULL);
		/* Of another lap: we were interrupted for as long as that. */
		WRITE_ONCE(to->wp, ftrace_is_unwritten(unwritten) ?
				   end : slot + 1 + ftrace_event_words(unwritten));
	}
	ftrace_record_lost(base);
	return false;
}

/*
 * A child of clone(CLONE_VM) with our TLS is not @t's thread: as in ftrace_record_slow(). It has a stack of its own.
 * Events alone make no stack known, so the page that the thread was seen on last is kept, as @ev's stack.
 */
static bool is_own_thread(const struct ftrace_thread *t, struct ftrace_thread *ev, unsigned long slot)
{
	if (ftrace_is_on_stack(t, slot) || ftrace_is_on_stack(ev, slot) || ftrace_no_syscalls)
		return true;
	if (ft_gettid() != t->tid)
		return false;
	/* A handler in between leaves its own page there, which is as good. */
	WRITE_ONCE(ev->stack_lo, ALIGN_DOWN(slot, FT_PAGE_SIZE));
	WRITE_ONCE(ev->stack_size, FT_PAGE_SIZE);
	return true;
}

FTRACE_INTERNAL bool ftrace_payload_begin(struct ftrace_payload *p, u32 id, u32 words, unsigned long slot)
{
	struct ftrace_thread *t = ftrace_thread_get(), *base;

	if (!t || !ftrace_stream_ops())
		return false;
	base = events_of(t);
	if (base && !is_own_thread(t, base, slot)) {
		ftrace_record_lost(t);
		return false;
	}
	if (!base || base->flags & FTRACE_THREAD_OFF || words > FTRACE_PAYLOAD_MAX) {
		ftrace_record_lost(base ? base : t);
		return false;
	}
	p->to = base;
	p->words = words;
	p->mark = (u32)(unsigned long)p ^ (u32)t->tid ^ 0x70617946;
	return reserve(t, base, p, id, slot);
}

/*
 * The recorder has taken the packet meanwhile, with the event as it was, and given it back: the header is
 * what unwritten words are now. What we wrote behind it must not stay.
 */
static void take_back(struct ftrace_payload *p, u64 unwritten)
{
	for (u32 i = 0; i < p->words; i++)
		WRITE_ONCE(p->data[i], unwritten);
	ftrace_record_lost(p->to);
}

FTRACE_INTERNAL void ftrace_payload_end(struct ftrace_payload *p, u32 bytes)
{
	u64 *slot = p->data - 1, header = p->header;
	u32 tick = ftrace_record_tick(header), id = ftrace_event_id(header), used = (bytes + 7) / 8;
	u64 done = ftrace_event_header(tick, id & ~(u32)FTRACE_EVENT_INCOMPLETE, bytes);

	/* Whoever goes by our header as it was passes over both. */
	if (used < p->words)
		WRITE_ONCE(p->data[used], ftrace_event_header(tick, FTRACE_EVENT_PADDING,
							      8 * (p->words - used - 1)));
	/* Release: who sees the event complete sees its payload. */
	if (unlikely(!__atomic_compare_exchange_n(slot, &header, done, false, __ATOMIC_RELEASE,
						  __ATOMIC_RELAXED)))
		take_back(p, header);
	barrier();
	WRITE_ONCE(p->pending->slot, NULL);
	WRITE_ONCE(p->mark, 0);
}
