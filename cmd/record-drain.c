/* SPDX-License-Identifier: MIT */
/* The loop that moves packets from rings to files while the command runs. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <ftrace/trace-event.h>

#include "cmd/cmd.h"
#include "cmd/record.h"

#define SLEEP_MIN_US	1000u
#define SLEEP_MAX_US	20000u
#define HEARTBEAT_US	40000u		/* the format promises 100 ms */
#define ROUND_PACKETS	64u		/* of one ring before the next one has its turn */
#define RESERVE_LEAST	(1ull << 20)
#define IDS		(1u << 22)	/* the kernel's largest pid_max */

void record_stop(struct record *r, const char *why, int err)
{
	if (r->stopped_why)
		return;
	r->stopped_why = why;
	r->stopped_err = err;
	__atomic_store_n(&r->control->stopped, 1, __ATOMIC_SEQ_CST);
}

int record_note_id(uint8_t *seen, uint32_t id)
{
	uint8_t bit = (uint8_t)(1 << (id & 7));

	if (!seen || id >= IDS || seen[id / 8] & bit)
		return 0;
	seen[id / 8] |= bit;
	return 1;
}

static void note_thread(struct record *r, uint32_t tid)
{
	r->totals.threads += (uint64_t)record_note_id(r->tids, tid);
}

/* Up to @max packets. How many; 0: there was none, or it could not be written, which ends the recording. */
static uint32_t drain(struct record *r, struct record_ring *ring, uint32_t max)
{
	struct trace_drain *d = &ring->drain;
	uint64_t before = d->file_size, room = r->max_size - r->written;
	int n;

	/* The one with which the limit is reached is still written. */
	if (room / FTRACE_PACKET_SIZE < max)
		max = (uint32_t)(room / FTRACE_PACKET_SIZE) + 1;
	n = trace_drain_packets(d, max);
	r->written += d->file_size - before;
	if (n > 0)
		note_thread(r, d->last_tid);
	if (n < 0)
		record_stop(r, "cannot be written", -n);
	else if (r->written >= r->max_size)
		record_stop(r, "is full", 0);
	return n > 0 ? (uint32_t)n : 0;
}

static bool move_packets(struct record *r)
{
	bool moved = false;
	uint32_t k, n;

	for (size_t i = 0; i < RECORD_BUCKETS; i++)
		for (struct record_process *p = r->processes[i]; p; p = p->next)
			for (struct record_ring *ring = p->rings; ring; ring = ring->next)
				for (k = 0; k < ROUND_PACKETS && !r->stopped_why; k += n) {
					n = drain(r, ring, ROUND_PACKETS - k);
					if (!n)
						break;
					moved = true;
				}
	return moved;
}

static bool anything_pending(const struct record *r)
{
	if (r->stopped_why)
		return false;
	for (size_t i = 0; i < RECORD_BUCKETS; i++)
		for (struct record_process *p = r->processes[i]; p; p = p->next)
			for (struct record_ring *ring = p->rings; ring; ring = ring->next)
				if (trace_drain_pending(&ring->drain))
					return true;
	return false;
}

/* Until the doorbell is no longer @bell, or for @us. */
static void sleep_until_rung(struct record *r, uint32_t bell, unsigned int us)
{
	struct timespec ts = { .tv_nsec = us * 1000l };

	__atomic_store_n(&r->control->recorder_sleeps, 1, __ATOMIC_RELAXED);
	/*
	 * Orders recorder_sleeps before the last look at the rings and at asks; pairs with the fences
	 * in the agent between its store of head, or asks, and its load of recorder_sleeps.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!anything_pending(r) && !record_plans_asked(r) && !record_snapshot_asked(r))
		syscall(SYS_futex, &r->control->doorbell, FUTEX_WAIT, bell, &ts, NULL, 0);
	__atomic_store_n(&r->control->recorder_sleeps, 0, __ATOMIC_RELAXED);
}

void record_drain_loop(struct record *r)
{
	unsigned int us = SLEEP_MIN_US;

	r->tids = calloc(1, IDS / 8);
	r->pids = calloc(1, IDS / 8);
	while (!r->child_ended) {
		uint32_t bell = __atomic_load_n(&r->control->doorbell, __ATOMIC_ACQUIRE);

		record_run_poll(r);
		record_files_look(r);
		record_snapshots_look(r);
		record_files_reap(r);
		record_plans_reap(r);
		record_plans_look(r);
		record_output_reserve(r, RESERVE_LEAST + 4 * r->totals.map_bytes);
		if (move_packets(r)) {
			us = SLEEP_MIN_US;
			continue;
		}
		if (r->child_ended)
			break;
		sleep_until_rung(r, bell, us);
		us = us * 2 < SLEEP_MAX_US ? us * 2 : SLEEP_MAX_US;
	}
	record_files_look(r);
	record_snapshots_look(r);
	record_files_reap(r);
	__atomic_store_n(&r->control->stopped, 1, __ATOMIC_SEQ_CST);
	record_plans_end(r);
	record_output_unreserve(r);
	record_files_finish(r);
	record_count_done(r);
	free(r->tids);
	free(r->pids);
}

/* Records or events in the packet that is open: from the first to the first unwritten word. */
static uint64_t open_records(const struct ftrace_ring *ring, uint32_t npackets)
{
	uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE), n = 0;
	const struct ftrace_packet *packet = (const void *)((const char *)ring +
		FTRACE_RING_HEADER_SIZE + (head & (npackets - 1)) * (size_t)FTRACE_PACKET_SIZE);
	const uint64_t *word = (const uint64_t *)(packet + 1);
	size_t max = (FTRACE_PACKET_SIZE - sizeof(*packet)) / sizeof(*word);

	if (packet->magic != FTRACE_PACKET_MAGIC)
		return 0;
	for (size_t at = 0; at < max && !ftrace_is_unwritten(word[at]); n++)
		at += ring->stream_id == FTRACE_STREAM_EVENTS ? 1 + ftrace_event_words(word[at]) : 1;
	return n;
}

/* What @ring still holds is lost: it is counted, and given back. */
static uint64_t skip_rest(struct record_ring *ring)
{
	struct trace_drain *d = &ring->drain;

	while (trace_drain_skip(d) > 0)
		;
	return open_records(d->ring, d->npackets);
}

void record_drain_last(struct record *r, struct record_ring *ring)
{
	struct record_totals *t = &r->totals;
	struct trace_drain *d = &ring->drain;
	uint64_t before;
	int err;

	while (!r->stopped_why && drain(r, ring, ROUND_PACKETS))
		;
	if (!r->stopped_why) {
		before = d->file_size;
		err = trace_drain_rest(d);
		r->written += d->file_size - before;
		if (err > 0)
			note_thread(r, d->last_tid);
		if (err < 0)
			record_stop(r, "cannot be written", -err);
	}
	/* What is left is not worth the space that names and totals need. */
	if (r->stopped_why)
		t->discarded += skip_rest(ring);
	if (d->stream_id == FTRACE_STREAM_EVENTS)
		t->events += d->records;
	else
		t->records += d->records;
	t->calls += d->calls;
	t->discarded += __atomic_load_n(&d->ring->discarded, __ATOMIC_RELAXED) + d->lost;
	t->stalls += __atomic_load_n(&d->ring->stalls, __ATOMIC_RELAXED);
	trace_drain_close(d);
}

static void *heartbeat(void *data)
{
	struct record *r = data;
	struct timespec until;

	pthread_mutex_lock(&r->heartbeat_lock);
	while (!r->heartbeat_ends) {
		__atomic_fetch_add(&r->control->heartbeat, 1, __ATOMIC_RELAXED);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += HEARTBEAT_US * 1000l;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&r->heartbeat_end, &r->heartbeat_lock, &until);
	}
	pthread_mutex_unlock(&r->heartbeat_lock);
	return NULL;
}

int record_heartbeat_start(struct record *r)
{
	pthread_condattr_t attr;
	sigset_t all, before;
	int err;

	pthread_mutex_init(&r->heartbeat_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->heartbeat_end, &attr);
	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&r->heartbeat, NULL, heartbeat, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err ? cmd_error("no thread for the heartbeat could be started: %s", strerror(err)) : 0;
}

void record_heartbeat_stop(struct record *r)
{
	pthread_mutex_lock(&r->heartbeat_lock);
	r->heartbeat_ends = true;
	pthread_cond_signal(&r->heartbeat_end);
	pthread_mutex_unlock(&r->heartbeat_lock);
	pthread_join(r->heartbeat, NULL);
}
