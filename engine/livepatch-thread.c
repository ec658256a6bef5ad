/* SPDX-License-Identifier: MIT */
/*
 * Live patching: what a thread knows and does itself in the callback of a function in transition. It is told its
 * version by the view in force, and goes over where its own stack allows that. What it looks at meanwhile is not
 * freed: it is counted as a reader.
 */
#include <sys/syscall.h>
#include <time.h>

#include "arch.h"
#include "livepatch.h"
#include "thread.h"
#include "unwind-stack.h"

struct klp_view *klp_transition_view;
u32 klp_loads, klp_check_readers;

static struct klp_check *check;		/* NULL: nobody looks at the own stack */
static u32 round;			/* counts looks at all stacks */

/*
 * A thread that calls the functions all the time is hardly ever found without one of them on its stack; but when it
 * begins the outermost of such calls it knows that itself. It looks a few times for each look of others,
 * so that one deep in calls does not do it all the time. It must have been called from what is on the stack:
 * a function that ends in a jump to this one is not there any more, but what it has passed on is its
 * version's (livepatch-calls.c).
 */
#define OWN_LOOKS	4u

static bool may_look(struct ftrace_thread *t)
{
	if (t->klp_round != READ_ONCE(round)) {
		t->klp_round = READ_ONCE(round);
		t->klp_looks = 0;
	}
	return t->klp_looks < OWN_LOOKS;
}

static void go_over(struct klp_view *v, struct ftrace_thread *t, const struct dyn_ftrace *site,
		    const struct pt_regs *regs)
{
	const struct klp_check *c;
	struct unwind_regs caller;
	const char *func, *why = "";

	t->klp_looks++;
	__atomic_fetch_add(&klp_check_readers, 1, __ATOMIC_SEQ_CST);
	c = __atomic_load_n(&check, __ATOMIC_SEQ_CST);
	arch_unwind_caller(regs, &caller);
	/* It may have come into force behind klp_objects_going(), which waits for us or has counted before. */
	if (c && c->target == v->target && __atomic_load_n(&klp_loads, __ATOMIC_SEQ_CST) == c->loads &&
	    klp_calls(c, caller.reg[ARCH_UNWIND_PC], site->ip - site->entry_delta)) {
		why = klp_look_at_stack(c, &caller, caller.reg[ARCH_UNWIND_SP], false,
					(unsigned long)__builtin_thread_pointer(), &func);
	}
	if (!why)
		klp_view_remove(v, t->tid);
	__atomic_fetch_sub(&klp_check_readers, 1, __ATOMIC_SEQ_CST);
}

/*
 * Is thread @tid in the patched version by @v? While it is open: as nobody has gone over, it is put among
 * those who have not, before it acts on that.
 */
static bool is_patched_in(struct klp_view *v, s32 tid)
{
	struct timespec pause = { 0, 100000 };
	bool open, added;

	while (__atomic_load_n(&v->state, __ATOMIC_SEQ_CST) != KLP_VIEW_CLOSED) {
		if (!klp_view_wants(v, tid))
			return v->target;
		/* Pairs with close_view(): either it waits for us, or we see that it is at it. */
		__atomic_fetch_add(&klp_check_readers, 1, __ATOMIC_SEQ_CST);
		open = __atomic_load_n(&v->state, __ATOMIC_SEQ_CST) == KLP_VIEW_OPEN;
		added = open && klp_view_add(v, tid);
		if (open && !added)
			__atomic_store_n(&v->full, 1, __ATOMIC_SEQ_CST);
		__atomic_fetch_sub(&klp_check_readers, 1, __ATOMIC_SEQ_CST);
		if (open)
			return !v->target;
		arch_syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
	}
	return v->target != klp_view_has(v, tid);
}

bool klp_thread_is_patched(const struct dyn_ftrace *site, const struct pt_regs *regs)
{
	/* Before all that changes with it. */
	unsigned long epoch = smp_load_acquire(&klp_epoch);
	struct klp_view *v = __atomic_load_n(&klp_transition_view, __ATOMIC_ACQUIRE);
	struct ftrace_thread *t = ftrace_self;
	s32 tid;

	if (!v)
		return true;
	/* In a child of fork thread ids are new, and nobody has gone over. */
	if (!READ_ONCE(klp_process->same))
		return !v->target;
	/* 0: in a child of fork, of the thread that was its parent's. */
	tid = t && t->tid ? t->tid : ft_gettid();
	if (is_patched_in(v, tid) == v->target) {
		/* That stays so: nobody comes into a view who was not in it when it was closed. */
		if (t && t->tid == tid)
			WRITE_ONCE(t->klp_gone, v->seq);
		return v->target;
	}
	if (!t || t->tid != tid)
		return !v->target;
	if (!may_look(t)) {
		WRITE_ONCE(t->klp_stays, epoch);
		return !v->target;
	}
	go_over(v, t, site, regs);
	/* As it is now: if the direction was turned meanwhile, nothing has been done to this view. */
	return is_patched_in(__atomic_load_n(&klp_transition_view, __ATOMIC_ACQUIRE), tid);
}

void klp_next_round(void)
{
	WRITE_ONCE(round, round + 1);
}

bool klp_wait_for_readers(void)
{
	struct timespec pause = { 0, 100000 };

	for (u32 i = 0; __atomic_load_n(&klp_check_readers, __ATOMIC_SEQ_CST); i++) {
		if (i == 1000)		/* a signal handler has left one by longjmp */
			return false;
		arch_syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
	}
	return true;
}

struct klp_check *klp_check_now(void)
{
	return check;
}

/* Exchanged, as whoever unloads an object takes it away as well: one of them has what was there. */
void klp_set_check(struct klp_check *c)
{
	struct klp_check *old = __atomic_exchange_n(&check, c, __ATOMIC_SEQ_CST);

	if (old && klp_wait_for_readers())
		klp_free_check(old);
}

static struct klp_check *retired;	/* taken away; who looks at stacks may have it still */

void klp_drop_check(void)
{
	klp_set_check(NULL);
	klp_free_check(__atomic_exchange_n(&retired, NULL, __ATOMIC_SEQ_CST));
}

/*
 * Before the loader unmaps anything. Whoever looks at stacks meanwhile is waited for, and looks at no more.
 */
void klp_objects_going(void)
{
	struct klp_check *old, *none = NULL;

	__atomic_fetch_add(&klp_loads, 1, __ATOMIC_SEQ_CST);
	old = __atomic_exchange_n(&check, NULL, __ATOMIC_SEQ_CST);
	/* A second one is left behind. */
	if (old)
		__atomic_compare_exchange_n(&retired, &none, old, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	klp_wait_for_readers();
}
