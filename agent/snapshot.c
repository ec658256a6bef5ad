/* SPDX-License-Identifier: MIT */
/*
 * Snapshots of a flight recorder: the kernel's `snapshot`.
 *
 * Who wants one only says so, in the session; the recorder copies what all rings hold. Until it has, a
 * thread whose ring is full waits before it takes back its oldest packet, as threads of an ordinary recording wait for room, so what
 * was there at that moment is in the copy. One at a time: what is asked for meanwhile is counted, no more.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/ring.h"

#define SLICE_MS	50u	/* longest single sleep */
#define SPINS		(1u << 20)	/* instead, where no system call is allowed */

int agent_snapshot(void)
{
	struct ftrace_session *s = agent.session;
	u32 taken, asked;

	if (!agent_is_recording())
		return -ESHUTDOWN;
	if (!s->overwrite)
		return -EOPNOTSUPP;
	taken = asked = smp_load_acquire(&s->snapshots_taken);
	/* Also orders asked before recorder_sleeps; pairs with the fence in the recorder's sleep_until_rung(). */
	if (!__atomic_compare_exchange_n(&s->snapshots_asked, &asked, taken + 1, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_RELAXED)) {
		__atomic_fetch_add(&s->snapshots_missed, 1, __ATOMIC_RELAXED);
		return -EBUSY;
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	agent_ring_doorbell();
	return 0;
}

void agent_snapshot_wait(struct agent_ring *r)
{
	struct ftrace_session *s = agent.session;
	/* taken first: the one that is seen to be asked for is the one behind it, or a later one, never one that was taken. */
	u32 taken = smp_load_acquire(&s->snapshots_taken), asked = READ_ONCE(s->snapshots_asked), spins = SPINS;
	struct { long sec, nsec; } slice = { 0, SLICE_MS * 1000000l };
	u64 began;

	if (likely(asked == taken) || r->gave_up_snapshot == asked)
		return;
	if (READ_ONCE(ftrace_no_syscalls)) {
		while (smp_load_acquire(&s->snapshots_taken) == taken && --spins)
			;
		goto out;
	}
	began = agent_clock_ns(CLOCK_MONOTONIC);
	do {
		if (READ_ONCE(s->stopped) || agent_recorder_gone())
			break;
		arch_syscall(SYS_futex, (long)&s->snapshots_taken, FUTEX_WAIT, taken, (long)&slice, 0, 0);
	} while (smp_load_acquire(&s->snapshots_taken) == taken &&
		 agent_clock_ns(CLOCK_MONOTONIC) - began < READ_ONCE(s->wait_ms) * 1000000ull);
out:
	if (smp_load_acquire(&s->snapshots_taken) == taken)
		r->gave_up_snapshot = asked;
}
