/* SPDX-License-Identifier: MIT */
/*
 * Records that the fast path cannot write: a thread's first, a new packet, a stack without a
 * shadow yet, a slot that a signal handler took; and every record when calls are chosen by depth or
 * duration. Runs in the middle of the traced program's calls.
 *
 * A signal handler may interrupt all of this at any instruction, come here itself, and never return. Only
 * the change from one packet to the next cannot be begun again while it is under way: what a
 * handler records then goes to a reserve stream of the thread.
 */
#include <sys/syscall.h>

#include <ftrace/trace-format.h>

#include "arch.h"
#include "callback.h"
#include "chunk.h"
#include "graph.h"
#include "ops.h"
#include "refill.h"
#include "shadow.h"
#include "site.h"
#include "thread.h"

void ftrace_record_lost(struct ftrace_thread *t)
{
	const struct ftrace_stream_ops *stream = ftrace_stream_ops();

	if (stream && stream->lost)
		stream->lost(t);
}

static bool is_padding(u64 word)
{
	return ftrace_record_id_event(word) ==
	       FTRACE_ID_EVENT(FTRACE_EVENT_EXTENDED, FTRACE_EXT_PADDING);
}

/*
 * Write a record of the call at @at to @to, which is @t or its reserve. False: it is lost, and
 * counted.
 */
static bool write_to(struct ftrace_thread *t, struct ftrace_thread *to, unsigned long id_event,
		     unsigned long at)
{
	/* Each turn but the last finds a slot taken by a handler, or ends a packet. */
	for (unsigned int i = 0; i < FTRACE_PACKET_SIZE; i++) {
		/* What an unwritten slot holds, before where it is: see RECORD in entry-record.S. */
		u64 unwritten = READ_ONCE(to->unwritten), now;
		u64 *slot;

		barrier();
		slot = READ_ONCE(to->wp);
		barrier();
		now = arch_ticks();
		/*
		 * Packets are aligned to their size: a write pointer that an interrupted writer has
		 * set back into an earlier packet is told by its upper bits.
		 */
		if (!slot || slot >= READ_ONCE(to->end) || (u32)(now >> 32) != to->hi ||
		    ((unsigned long)slot ^ (unsigned long)to->end) >= FTRACE_PACKET_SIZE) {
			if (ftrace_is_refilling(t, to, at)) {
				if (to == t && ftrace_reserve_of(t))
					return write_to(t, t->reserve, id_event, at);
				break;
			}
			if (!ftrace_refill(t, t, to, now, at))
				return false;
			continue;
		}
		if (__atomic_compare_exchange_n(slot, &unwritten,
						ftrace_record_word((u32)now, id_event), false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			WRITE_ONCE(to->wp, slot + 1);
			return true;
		}
		/* A call taken back left padding here: ours, unless something came behind it. */
		if (ftrace_threshold && is_padding(unwritten) &&
		    ftrace_is_unwritten(READ_ONCE(slot[1])) &&
		    __atomic_compare_exchange_n(slot, &unwritten,
						ftrace_record_word((u32)now, id_event), false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			WRITE_ONCE(to->wp, slot + 1);
			return true;
		}
		WRITE_ONCE(to->wp, slot + 1);
	}
	ftrace_record_lost(t);
	return false;
}

bool ftrace_record_event(struct ftrace_thread *t, unsigned long id_event, unsigned long slot)
{
	if (!ftrace_stream_ops())
		return false;
	if (t->flags & FTRACE_THREAD_OFF) {
		ftrace_record_lost(t);
		return false;
	}
	return write_to(t, t, id_event, slot);
}

/*
 * A call that lasted less than the threshold takes its entry record back, if nothing was recorded
 * since. The slot becomes padding first and the write pointer goes back to it: a handler between
 * the two writes behind it, and it stays padding; otherwise the next record reuses it. True: taken
 * back.
 */
static bool retract(struct ftrace_thread *t, unsigned long id_event, u64 threshold)
{
	u64 *slot = READ_ONCE(t->wp), entry, pad;
	u32 now = (u32)arch_ticks();

	if (!slot || slot > t->end)
		return false;
	slot--;
	entry = READ_ONCE(*slot);
	if (ftrace_record_id_event(entry) != (id_event & ~3ul) ||
	    now - ftrace_record_tick(entry) >= threshold ||
	    ftrace_is_unwritten(entry))
		return false;
	pad = ftrace_record(ftrace_record_tick(entry), FTRACE_EVENT_EXTENDED, FTRACE_EXT_PADDING);
	return __atomic_compare_exchange_n(slot, &entry, pad, false, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED);
}

/*
 * A call at @slot begins: recorded calls whose slots are at or below it (below, for a tail call) are no
 * more. One mark each tells readers. Only on the thread's own stack, where addresses are nesting.
 */
static void frames_left(struct ftrace_thread *t, unsigned long slot, bool tail)
{
	unsigned long top = READ_ONCE(t->top);

	if (!t->stack_own)
		top = FTRACE_TOP_NONE;
	while (top - t->stack_lo < t->stack_size && (tail ? top < slot : top <= slot)) {
		unsigned long around = *arch_shadow_around(top);

		ftrace_record_event(t, FTRACE_ID_EVENT(FTRACE_EVENT_EXTENDED, FTRACE_EXT_LEFT), slot);
		top = around > top ? around : FTRACE_TOP_NONE;
	}
	if (top - t->stack_lo >= t->stack_size)
		top = FTRACE_TOP_NONE;
	WRITE_ONCE(t->top, top);
}

static long enter(struct ftrace_thread *t, unsigned long id_event, unsigned long *slot,
		  unsigned long fp)
{
	struct dyn_ftrace *site = ftrace_site((u32)(id_event >> 2));
	bool behind_prologue = ftrace_site_is_behind_prologue(site);
	unsigned long ret;
	bool tail;

	if (behind_prologue)
		slot = (unsigned long *)fp + 1;
	ret = *ARCH_RETURN_WORD(slot);
	tail = ftrace_is_stub_return(ret);
	if (!tail && (unsigned long)slot - t->stack_lo >= t->stack_size &&
	    ftrace_shadow_enter(t, (unsigned long)slot)) {
		t->unshadowed++;
		return 1;
	}
	if (!tail && !ftrace_depth_enter(t, (unsigned long)slot)) {
		t->dropped_by_choice++;
		return 1;
	}
	frames_left(t, (unsigned long)slot, tail);
	if (!ftrace_record_event(t, id_event, (unsigned long)slot))
		return 1;
	if (tail) {
		ftrace_record_event(t, FTRACE_ID_EVENT(FTRACE_EVENT_EXTENDED, FTRACE_EXT_TAIL),
				    (unsigned long)slot);
		WRITE_ONCE(t->top, (unsigned long)slot);
		return 1;
	}
	arch_shadow_set((unsigned long)slot, ret, t->top, site->id);
	WRITE_ONCE(t->top, (unsigned long)slot);
	if (behind_prologue) {
		/* Too late to call the body: the return is made to come to the stub instead. */
		*slot = ftrace_stub(site->id) + ARCH_STUB_RET;
		return 1;
	}
	return 0;
}

long ftrace_record_slow(unsigned long id_event, unsigned long *slot, unsigned long fp)
{
	struct ftrace_thread *t;

	if (READ_ONCE(ftrace_silent))
		return 1;
	t = ftrace_thread_get();
	if (!t)
		return 1;
	/*
	 * A child of clone(CLONE_VM) without a TLS of its own runs with its parent's: its calls are
	 * nobody's. It has its own stack, so it comes here.
	 */
	if ((unsigned long)slot - t->stack_lo >= t->stack_size && !ftrace_no_syscalls &&
	    ft_gettid() != t->tid) {
		ftrace_record_lost(t);
		return 1;
	}
	/* Who was told of a call is told of its return. */
	if (unlikely(READ_ONCE(t->unchosen)) && (id_event & 3) != FTRACE_EVENT_EXIT)
		return 1;
	switch (id_event & 3) {
	case FTRACE_EVENT_ENTRY:
		return enter(t, id_event, slot, fp);
	case FTRACE_EVENT_EXIT:
		ftrace_depth_exit(t, (unsigned long)slot);
		WRITE_ONCE(t->top, *arch_shadow_around((unsigned long)slot));
		if (ftrace_threshold && retract(t, id_event, ftrace_threshold)) {
			WRITE_ONCE(t->wp, t->wp - 1);
			t->dropped_by_choice++;
			break;
		}
		/* fall through */
	default:
		ftrace_record_event(t, id_event, (unsigned long)slot);
	}
	return 1;
}
