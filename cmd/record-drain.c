/* SPDX-License-Identifier: MIT */
/* The loop that moves packets from rings to files while the command runs. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

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

/* One packet. 1: moved; 0: there was none, or it could not be written, which ends the recording. */
static int move_packet(struct record *r, struct record_ring *ring)
{
	struct trace_drain *d = &ring->drain;
	uint64_t before = d->file_size;
	int n = trace_drain_packet(d);

	r->written += d->file_size - before;
	if (n > 0)
		note_thread(r, d->last_tid);
	if (n < 0)
		record_stop(r, "cannot be written", -n);
	else if (r->written >= r->max_size)
		record_stop(r, "is full", 0);
	return n > 0;
}

static bool move_packets(struct record *r)
{
	bool moved = false;

	for (size_t i = 0; i < RECORD_BUCKETS; i++)
		for (struct record_process *p = r->processes[i]; p; p = p->next)
			for (struct record_ring *ring = p->rings; ring; ring = ring->next)
				for (uint32_t k = 0; k < ROUND_PACKETS && !r->stopped_why &&
						     trace_drain_pending(&ring->drain); k++)
					moved |= move_packet(r, ring);
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
	 * Orders recorder_sleeps before the last look at the rings; pairs with the fence in the
	 * agent between its store of head and its load of recorder_sleeps.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!anything_pending(r))
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
		record_files_reap(r);
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
	record_files_reap(r);
	__atomic_store_n(&r->control->stopped, 1, __ATOMIC_SEQ_CST);
	record_output_unreserve(r);
	record_files_finish(r);
	free(r->tids);
	free(r->pids);
}

/* What @ring still holds is lost: it is counted, and given back. */
static void skip_rest(struct record_ring *ring)
{
	while (trace_drain_skip(&ring->drain) > 0)
		;
}

void record_drain_last(struct record *r, struct record_ring *ring)
{
	struct record_totals *t = &r->totals;
	struct trace_drain *d = &ring->drain;
	uint64_t before;
	int err = 0;

	/* One by one, so that each packet's thread is seen. */
	while (!r->stopped_err && trace_drain_pending(d) && move_packet(r, ring))
		;
	before = d->file_size;
	if (!r->stopped_err) {
		err = trace_drain_rest(d);
		if (err > 0)
			note_thread(r, d->last_tid);
		if (err < 0)
			record_stop(r, "cannot be written", -err);
	}
	if (r->stopped_err)
		skip_rest(ring);
	r->written += d->file_size - before;
	t->records += d->records;
	t->calls += d->calls;
	t->discarded += __atomic_load_n(&d->ring->discarded, __ATOMIC_RELAXED) + d->lost;
	t->stalls += __atomic_load_n(&d->ring->stalls, __ATOMIC_RELAXED);
	trace_drain_close(d);
}

static void *heartbeat(void *data)
{
	struct record *r = data;
	struct timespec ts = { .tv_nsec = HEARTBEAT_US * 1000l };

	for (;;) {
		__atomic_fetch_add(&r->control->heartbeat, 1, __ATOMIC_RELAXED);
		nanosleep(&ts, NULL);	/* where record_heartbeat_stop() ends it */
	}
	return NULL;
}

int record_heartbeat_start(struct record *r)
{
	sigset_t all, before;
	int err;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&r->heartbeat, NULL, heartbeat, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err ? cmd_error("no thread for the heartbeat could be started") : 0;
}

void record_heartbeat_stop(struct record *r)
{
	pthread_cancel(r->heartbeat);
	pthread_join(r->heartbeat, NULL);
}
