/* SPDX-License-Identifier: MIT */
/*
 * Tracing only some threads: the kernel's set_ftrace_pid and set_event_pid.
 *
 * What was chosen is a list; what the trampolines look at is a word in the state of each thread, filled in
 * when the thread gets its state and again when the choice changes. Sites of recording tracers get trampolines
 * that look at it only while there is a choice, so without one nothing costs more.
 *
 * A thread publishes its tid, then reads the list; who changes the list writes it, then looks at all
 * states. One of the two sees the other's. The count of changes, odd in the middle of one, tells a thread that it has
 * read something that was changing: it reads again, unless it has interrupted who changes it (by a
 * signal), who fills its word in afterwards.
 */
#include "arch.h"
#include "ops.h"
#include "thread.h"

static struct choice {
	u32 changes;
	u32 n;			/* 0: all threads */
	s32 tids[FTRACE_MAX_CHOSEN];
} choices[FTRACE_CHOICES];

static bool is_chosen(const struct choice *c, s32 tid)
{
	u32 n = READ_ONCE(c->n), i;

	for (i = 0; i < n && READ_ONCE(c->tids[i]) != tid; i++)
		;
	return !n || i < n;
}

static u32 *word_of(struct ftrace_thread *t, u32 k)
{
	return k == FTRACE_CHOICE_TRACERS ? &t->unchosen : &t->unchosen_events;
}

static void choose(struct ftrace_thread *t, u32 k)
{
	const struct choice *c = &choices[k];
	u32 changes;

	do {
		/* Behind the store of the tid; pairs with the fence in ftrace_choose_threads(). */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		changes = smp_load_acquire(&c->changes);
		WRITE_ONCE(*word_of(t, k), !is_chosen(c, t->tid));
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	} while (READ_ONCE(c->changes) != changes);
}

void ftrace_thread_choose(struct ftrace_thread *t)
{
	for (u32 k = 0; k < FTRACE_CHOICES; k++)
		choose(t, k);
}

bool ftrace_threads_are_chosen(void)
{
	return READ_ONCE(choices[FTRACE_CHOICE_TRACERS].n) != 0;
}

FTRACE_INTERNAL bool ftrace_thread_hides_events(void)
{
	const struct ftrace_thread *t;

	if (likely(!READ_ONCE(choices[FTRACE_CHOICE_EVENTS].n)))
		return false;
	t = ftrace_thread_get();
	return t && READ_ONCE(t->unchosen_events);
}

/* The number of nobody, so that the rest of the list stays a choice. */
void ftrace_thread_unchoose(s32 tid)
{
	for (u32 k = 0; k < FTRACE_CHOICES; k++)
		for (u32 i = 0; i < READ_ONCE(choices[k].n) && i < FTRACE_MAX_CHOSEN; i++) {
			s32 was = tid;

			__atomic_compare_exchange_n(&choices[k].tids[i], &was, -1, false, __ATOMIC_RELAXED,
						    __ATOMIC_RELAXED);
		}
}

static void look_again(struct ftrace_thread *t, void *data)
{
	const struct choice *c = data;
	u32 k = (u32)(c - choices);

	WRITE_ONCE(*word_of(t, k), !is_chosen(c, READ_ONCE(t->tid)));
}

FTRACE_INTERNAL int ftrace_choose_threads(enum ftrace_choice choice, const s32 *tids, u32 n)
{
	struct choice *c = &choices[choice];
	int err = ftrace_init();

	if (err)
		return err;
	if (n > FTRACE_MAX_CHOSEN)
		return ft_log(-ENOSPC, "more than %u threads are chosen", FTRACE_MAX_CHOSEN);
	ft_lock(ftrace_lock);
	__atomic_fetch_add(&c->changes, 1, __ATOMIC_SEQ_CST);
	for (u32 i = 0; i < n; i++)
		WRITE_ONCE(c->tids[i], tids[i]);
	smp_store_release(&c->n, n);
	__atomic_fetch_add(&c->changes, 1, __ATOMIC_SEQ_CST);
	/* Pairs with the fences in choose(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ftrace_for_each_thread(look_again, c);
	if (choice == FTRACE_CHOICE_TRACERS)
		err = ftrace_update_all();
	ft_unlock(ftrace_lock);
	return err;
}

FTRACE_INTERNAL u32 ftrace_chosen_threads(enum ftrace_choice choice, s32 tids[FTRACE_MAX_CHOSEN])
{
	const struct choice *c = &choices[choice];
	u32 n = READ_ONCE(c->n);

	for (u32 i = 0; i < n; i++)
		tids[i] = READ_ONCE(c->tids[i]);
	return n;
}
