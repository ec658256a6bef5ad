/* SPDX-License-Identifier: MIT */
/*
 * Rings of packets: where a thread's records go.
 *
 * A thread owns one ring and writes into its packet number `head` until the packet is full or the
 * upper half of the tick counter changes; refill() then completes that packet and begins
 * the next. The recorder takes complete packets away (reader/drain.h tells its side). In a
 * flight recorder nobody does, and refill() itself takes the oldest packet back.
 *
 * refill() may be interrupted by a signal at any instruction, and never be resumed when the handler
 * leaves by longjmp(): every step here can be begun again by the next refill(). While it is under
 * way t has no packet, so that a handler's records go to the thread's reserve, which has a ring of its own.
 */
#include <limits.h>
#include <linux/futex.h>
#include <time.h>

#include <ftrace/trace-event.h>

#include "agent/ring.h"
#include "engine/payload.h"

#define PROBES		4u	/* owners a newcomer looks at to see whether they are alive */
#define SLICE_MS	50u	/* longest single sleep of a waiting writer */
#define SPINS		(1u << 20)	/* instead of sleeping, where no system call is allowed */
#define DROPS_MASK	4095u	/* how rarely a writer that drops asks whether the recorder lives */

#define FIRST_SLOT(p)	((u64 *)((p) + 1))
#define END_SLOT(p)	((u64 *)((char *)(p) + FTRACE_PACKET_SIZE))

u32 agent_rings_for_events;

static u32 clock_hand;	/* where the next newcomer looks for an owner that died */
static u32 nfree[2];	/* rings given back, by stream_id; a hint, so that newcomers need not look for none */

static struct ftrace_packet *packet_at(const struct ftrace_ring *ring, u64 number)
{
	return (void *)((char *)ring + FTRACE_RING_HEADER_SIZE +
			(number & (ring->npackets - 1)) * (size_t)FTRACE_PACKET_SIZE);
}

static bool packet_is_open(const struct agent_ring *r)
{
	return r->open == r->shared->head + 1;
}

/* Half full, or @always: tell a recorder that sleeps. */
static void wake_recorder(const struct ftrace_ring *ring, bool always)
{
	/*
	 * Orders head before recorder_sleeps; pairs with the fence between the recorder's store of
	 * recorder_sleeps and its last look at the rings.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (always || ring->head - READ_ONCE(ring->tail) >= ring->npackets / 2)
		agent_ring_doorbell();
}

/* One operation on memory that outlives the process: exact, wherever a signal or its end comes. */
void agent_lost(struct ftrace_thread *t)
{
	struct agent_ring *r = t->stream;

	if (r)
		__atomic_fetch_add(&r->shared->discarded, 1, __ATOMIC_RELAXED);
	else if (agent.map)
		__atomic_fetch_add(&agent.map->records_lost, 1, __ATOMIC_RELAXED);
}

/*
 * Complete the open packet. @wp: where to look for its first unwritten slot; anything outside the
 * packet means its beginning.
 *
 * The slot behind the last record gets padding, which carries that record's time: a writer that was
 * interrupted before it wrote finds its slot taken. One that was interrupted after that sets
 * the write pointer back to a slot that is taken as well, and the slow path, where this leads it, sees
 * by the upper bits that the packet is not the open one. There is always such a slot: t->end
 * leaves one.
 */
static void close_packet(struct agent_ring *r, u64 *wp)
{
	struct ftrace_ring *ring = r->shared;
	u64 head = ring->head, unwritten = ftrace_unwritten(head / ring->npackets), last, pad;
	struct ftrace_packet *packet = packet_at(ring, head);
	u64 *slot = FIRST_SLOT(packet), *end = END_SLOT(packet), *behind;

	if (wp > slot && wp <= end && ring->stream_id != FTRACE_STREAM_EVENTS)
		slot = wp;
	last = packet->timestamp_begin;
	if (ring->stream_id == FTRACE_STREAM_EVENTS) {
		/* From the beginning: what stands at the write pointer is no header, perhaps. */
		while (slot < end && READ_ONCE(*slot) != unwritten) {
			last = (last & ~0xffffffffull) | ftrace_record_tick(*slot);
			slot += 1 + ftrace_event_words(*slot);
		}
		pad = ftrace_event_header((u32)last, FTRACE_EVENT_PADDING, 0);
	} else {
		while (slot < end && READ_ONCE(*slot) != unwritten)
			slot++;
		if (slot > FIRST_SLOT(packet))
			last = (last & ~0xffffffffull) | ftrace_record_tick(slot[-1]);
		pad = ftrace_record((u32)last, FTRACE_EVENT_EXTENDED, FTRACE_EXT_PADDING);
	}
	behind = slot < end ? slot : end;
	if (slot < end)
		WRITE_ONCE(*slot, pad);
	r->last = last;
	packet->timestamp_end = last;
	packet->packet_size = FTRACE_PACKET_SIZE * 8ull;
	packet->events_discarded = ring->discarded;
	smp_store_release(&packet->content_size, (u64)((char *)behind - (char *)packet) * 8);
	smp_store_release(&ring->head, head + 1);
}

/* The ring's recorder may be gone, or want no more: then it is over for the whole process. */
static int still_recording(void)
{
	if (!READ_ONCE(agent.session->stopped) && !agent_recorder_gone())
		return 0;
	agent_stop();
	return -ESHUTDOWN;
}

static bool is_full(const struct ftrace_ring *ring)
{
	return ring->head - smp_load_acquire(&ring->tail) >= ring->npackets;
}

/*
 * Until the recorder took a packet, at most session->wait_ms. 0: there is room. Of a sleep that was much longer than
 * it was to be only a part counts: this thread was not run, and neither may the recorder have been.
 */
static int wait_for_room(struct agent_ring *r)
{
	struct ftrace_ring *ring = r->shared;
	struct { long sec, nsec; } slice = { 0, SLICE_MS * 1000000l };
	u64 before, waited = 0, tail = READ_ONCE(ring->tail);
	u32 spins = SPINS;

	if (r->gave_up == tail + 1) {
		/* The last wait was for the same packet. Only now and then see what is going on. */
		if (ring->discarded & DROPS_MASK)
			return -EAGAIN;
		return still_recording() ?: -EAGAIN;
	}
	ring->stalls++;
	wake_recorder(ring, true);
	if (READ_ONCE(ftrace_no_syscalls)) {
		while (is_full(ring))
			if (!--spins)
				goto gave_up;
		return 0;
	}
	before = agent_clock_ns(CLOCK_MONOTONIC);
	for (;;) {
		u64 now;

		WRITE_ONCE(ring->writer_waits, 1);
		/* Pairs with the fence in the recorder between its stores of tail and its load of this. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!is_full(ring))
			return 0;
		if (still_recording())
			return -ESHUTDOWN;
		arch_syscall(SYS_futex, (long)&ring->writer_waits, FUTEX_WAIT, 1, (long)&slice, 0, 0);
		if (!is_full(ring))
			return 0;
		now = agent_clock_ns(CLOCK_MONOTONIC);
		waited += now - before < 2 * SLICE_MS * 1000000ull ? now - before : 2 * SLICE_MS * 1000000ull;
		before = now;
		if (waited >= READ_ONCE(agent.session->wait_ms) * 1000000ull)
			break;
	}
gave_up:
	r->gave_up = tail + 1;
	return -EAGAIN;
}

/*
 * Flight recorder: take the slot of packet head back. Before anything of it changes, tail moves
 * on, and the header goes first, so that who copies it meanwhile can tell.
 */
static void take_oldest(struct ftrace_ring *ring)
{
	u64 head = ring->head, unwritten = ftrace_unwritten(head / ring->npackets);
	struct ftrace_packet *packet = packet_at(ring, head);
	u64 *slot;

	smp_store_release(&ring->tail, head - ring->npackets + 1);
	WRITE_ONCE(packet->magic, 0);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	WRITE_ONCE(packet->content_size, 0);
	for (slot = FIRST_SLOT(packet); slot < END_SLOT(packet); slot++)
		WRITE_ONCE(*slot, unwritten);
}

/* Begin packet head, which is free, and let @t write to it. */
static int open_packet(struct agent_ring *r, struct ftrace_thread *t, u64 now, u64 *closed)
{
	struct ftrace_ring *ring = r->shared;
	u64 head = ring->head;
	struct ftrace_packet *packet = packet_at(ring, head);

	packet->stream_id = ring->stream_id;
	packet->timestamp_begin = now;
	packet->timestamp_end = 0;
	packet->content_size = 0;
	packet->packet_size = FTRACE_PACKET_SIZE * 8ull;
	packet->events_discarded = ring->discarded;
	packet->packet_seq_num = head;
	packet->tid = (u32)t->tid;
	packet->reserved = 0;
	smp_store_release(&packet->magic, FTRACE_PACKET_MAGIC);
	r->open = head + 1;
	/*
	 * A handler of a signal that came in the middle of all this may have forked: in the
	 * child @t is wiped, and this ring is not its own.
	 */
	barrier();
	if (unlikely(!READ_ONCE(t->tid)))
		return -EAGAIN;
	WRITE_ONCE(t->wp, FIRST_SLOT(packet));
	WRITE_ONCE(t->unwritten, ftrace_unwritten(head / ring->npackets));
	WRITE_ONCE(t->hi, (u32)(now >> 32));
	/* One slot stays free, for close_packet(). */
	ftrace_packet_opened(t, closed, END_SLOT(packet) - 1);
	return 0;
}

static bool thread_exists(s32 tid)
{
	return arch_syscall(SYS_tgkill, agent.pid, tid, 0, 0, 0, 0) != -ESRCH;
}

static u32 stream_of(const struct ftrace_thread *t)
{
	return t->flags & FTRACE_THREAD_EVENTS ? FTRACE_STREAM_EVENTS : FTRACE_STREAM_RECORDS;
}

static s32 owner_of(const struct ftrace_thread *t)
{
	return t->tid | (t->flags & FTRACE_THREAD_RESERVE ? AGENT_RING_RESERVE : 0) |
	       (t->flags & FTRACE_THREAD_EVENTS ? AGENT_RING_EVENTS : 0);
}

/* From @owner, which was seen there, to @to. False: somebody else was first. */
static bool set_owner(struct agent_ring *r, u64 *owner, s32 to)
{
	u64 next = ((*owner >> 32) + 1) << 32 | (u32)to;

	if (!__atomic_compare_exchange_n(&r->owner, owner, next, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return false;
	*owner = next;
	return true;
}

/* Make @r the ring of @t if it is nobody's, or a dead thread's. */
static bool claim(struct agent_ring *r, struct ftrace_thread *t, bool probe)
{
	u64 owner = smp_load_acquire(&r->owner);
	s32 old = (s32)owner;

	if (!smp_load_acquire(&r->shared) || old == AGENT_RING_BUSY ||
	    r->shared->stream_id != stream_of(t))
		return false;
	/*
	 * @t has no ring: one that bears its name is what an earlier thread of that number left, or
	 * what a handler left half claimed.
	 */
	if (old && old != owner_of(t) &&
	    (!probe || READ_ONCE(ftrace_no_syscalls) ||
	     thread_exists(AGENT_RING_TID(old))))
		return false;
	if (!set_owner(r, &owner, AGENT_RING_BUSY))
		return false;
	r->thread = t;
	set_owner(r, &owner, owner_of(t));
	if (!old)
		__atomic_fetch_sub(&nfree[stream_of(t)], 1, __ATOMIC_RELAXED);
	return true;
}

static struct agent_ring *find_ring(struct ftrace_thread *t)
{
	u32 n = agent_nrings(), k, hand;
	struct agent_ring *r;

	if (READ_ONCE(nfree[stream_of(t)]))
		for (k = 0; k < n; k++) {
			r = agent_ring(k);
			if (r && claim(r, t, false))
				return r;
		}
	for (k = 0; k < PROBES && k < n; k++) {
		hand = __atomic_fetch_add(&clock_hand, 1, __ATOMIC_RELAXED);
		r = agent_ring(hand % n);
		if (r && claim(r, t, true))
			return r;
	}
	return agent_ring_make(owner_of(t));
}

/* A ring for a thread that has none. NULL: it records nothing, now or ever. */
static struct agent_ring *get_ring(struct ftrace_thread *t)
{
	struct agent_ring *r;

	if (t->flags & FTRACE_THREAD_OFF)
		return NULL;
	r = find_ring(t);
	if (!r) {
		t->flags |= FTRACE_THREAD_OFF;
		if (agent.map && !(t->flags & FTRACE_THREAD_RESERVE))
			__atomic_fetch_add(&agent.map->threads_unrecorded, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	t->stream = r;
	r->thread = t;		/* one just made has only its owner's name */
	WRITE_ONCE(r->shared->tid, (u32)t->tid);
	return r;
}

static int lost(struct ftrace_thread *t, int err)
{
	agent_lost(t);
	return err;
}

/* May the memory of packet head be used for it? */
static bool may_be_used(const struct ftrace_thread *t, const struct ftrace_ring *ring)
{
	const struct ftrace_packet *packet = packet_at(ring, ring->head);

	return ring->stream_id != FTRACE_STREAM_EVENTS ||
	       !ftrace_payload_is_pending(t, packet, END_SLOT(packet));
}

int agent_refill(struct ftrace_thread *t, u64 now)
{
	struct agent_ring *r = t->stream;
	struct ftrace_ring *ring;
	u64 *closed = ftrace_packet_closed(t);
	int err;

	if (unlikely(READ_ONCE(agent.off)))
		return -ESHUTDOWN;
	if (unlikely(!r)) {
		r = get_ring(t);
		if (!r)
			return lost(t, -ENOSPC);
	}
	ring = r->shared;
	if (packet_is_open(r)) {
		close_packet(r, t->wp);
		if (!ring->overwrite)
			wake_recorder(ring, false);
	}
	if (unlikely(READ_ONCE(agent.session->stopped))) {
		agent_stop();
		return lost(t, -ESHUTDOWN);
	}
	if (ring->overwrite) {
		if (unlikely(!may_be_used(t, ring)))
			return lost(t, -EBUSY);
		if (ring->head >= ring->npackets) {
			agent_snapshot_wait(r);
			take_oldest(ring);
		}
	} else if (unlikely(is_full(ring))) {
		err = wait_for_room(r);
		if (err)
			return lost(t, err);
	}
	/* An event in there is still being written, by code that this signal handler has interrupted. */
	if (unlikely(!may_be_used(t, ring)))
		return lost(t, -EBUSY);
	/* A signal handler may have recorded since @now was read. */
	return open_packet(r, t, now > r->last ? now : r->last, closed);
}

void agent_flush(struct ftrace_thread *t)
{
	struct agent_ring *r = t->stream;

	ftrace_packet_closed(t);
	if (!r || !packet_is_open(r))
		return;
	close_packet(r, t->wp);
	if (!r->shared->overwrite)
		wake_recorder(r->shared, false);
}

void agent_thread_gone(struct ftrace_thread *t)
{
	struct agent_ring *r = t->stream;
	u64 owner;

	ftrace_packet_closed(t);
	t->stream = NULL;
	if (!r)
		return;
	owner = smp_load_acquire(&r->owner);
	/* A newcomer may have noticed first, and the ring be its own by now. */
	if ((s32)owner <= 0 || r->thread != t || !set_owner(r, &owner, AGENT_RING_BUSY))
		return;
	if (packet_is_open(r))
		close_packet(r, t->wp);
	r->thread = NULL;
	WRITE_ONCE(r->shared->tid, 0);
	set_owner(r, &owner, 0);
	__atomic_fetch_add(&nfree[stream_of(t)], 1, __ATOMIC_RELAXED);
}

void agent_rings_forked(void)
{
	agent_rings_forget();
	nfree[0] = nfree[1] = 0;
	clock_hand = 0;
}

void agent_rings_reserve(u32 count)
{
	while (READ_ONCE(nfree[0]) < count && agent_ring_make(0))
		__atomic_fetch_add(&nfree[0], 1, __ATOMIC_RELAXED);
	if (!READ_ONCE(agent_rings_for_events))
		return;
	while (READ_ONCE(nfree[1]) < count && agent_ring_make(AGENT_RING_EVENTS))
		__atomic_fetch_add(&nfree[1], 1, __ATOMIC_RELAXED);
}
