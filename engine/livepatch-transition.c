/* SPDX-License-Identifier: MIT */
/*
 * Live patching: the transition between two versions, thread by thread.
 *
 * What is kept is who has not gone over, a table of thread ids (struct klp_view, livepatch-view.c); whoever is not in
 * it is in the version the transition leads to, also threads that are made meanwhile. An id is taken out while its
 * thread stands still, and is not in the middle of a callback of a changed function; or by the thread itself. A
 * transition is turned round by another table, by which nobody's version is another. So what a callback
 * (livepatch-thread.c) has read is right as long as it is used.
 */
#include <sys/syscall.h>
#include <time.h>

#include "arch.h"
#include "livepatch.h"
#include "scratch.h"
#include "shadow.h"
#include "stop.h"
#include "unwind-stack.h"

struct klp_kpatch *klp_transition_patch;

static bool started;			/* somebody has looked at the stacks */

/* Of the last look. */
static struct klp_holder *holders;
static u32 nholders;

unsigned long klp_epoch = 2;

void klp_next_epoch(void)
{
	__atomic_fetch_add(&klp_epoch, 2, __ATOMIC_SEQ_CST);
}

static bool is_target_patched(void)
{
	return klp_transition_view->target;
}

/* ---- views ---- */

static size_t view_size(u32 mask)
{
	return sizeof(struct klp_view) + ((size_t)mask + 1) * sizeof(s32);
}

/* A view with room for the threads there may be: nobody has gone over but those that @gone has. */
static struct klp_view *new_view(bool target, const struct klp_view *gone)
{
	static unsigned long views;
	u32 slots = 1024, wanted = 8 * (ftrace_count_threads() + 64);
	struct klp_view *v;

	while (slots < wanted)
		slots *= 2;
	v = ft_alloc(view_size(slots - 1));
	if (!v)
		return NULL;
	v->target = target;
	v->seq = (++views << 1) | target;
	v->state = KLP_VIEW_OPEN;
	v->mask = slots - 1;
	v->gone = gone;
	return v;
}

/* Whoever does not know @v yet, which has just come into force, knows nothing. */
static void set_epoch(const struct klp_view *v)
{
	__atomic_fetch_add(&klp_epoch, (klp_epoch & 1) == !v->target ? 2 : 3, __ATOMIC_SEQ_CST);
}

/* In front of the others, which somebody may be looking at. */
static void publish(struct klp_view *v)
{
	v->next = klp_transition_view;
	__atomic_store_n(&klp_transition_view, v, __ATOMIC_SEQ_CST);
	set_epoch(v);
}

/* No callback is looking at them. */
static void free_views(struct klp_view *v)
{
	while (v) {
		struct klp_view *next = v->next;

		ft_free(v, view_size(v->mask));
		v = next;
	}
}

static void mark(struct klp_kpatch *p, bool transition)
{
	for (u32 i = 0; i < p->nobjs; i++)
		for (u32 k = 0; k < p->objs[i].nfuncs; k++)
			WRITE_ONCE(p->objs[i].funcs[k].transition, transition);
}

int klp_transition_begin(struct klp_kpatch *p, bool enabling)
{
	struct klp_view *v = new_view(enabling, NULL);

	if (!v)
		return ft_log(-ENOMEM, "patch %s: no memory", klp_patch_name(p));
	klp_process->same = true;
	nholders = 0;
	started = false;
	__atomic_store_n(&klp_transition_view, v, __ATOMIC_RELEASE);
	set_epoch(v);
	klp_transition_patch = p;
	mark(p, true);
	return 0;
}

/* The patches that @p has taken the place of. */
static void drop_replaced(struct klp_kpatch *p)
{
	while (klp_patches != p) {
		struct klp_kpatch *old = klp_patches;

		klp_unpatch(old, false);
		ftrace_synchronize();
		klp_forget(old);
	}
}

static void complete(bool patched)
{
	struct klp_kpatch *p = klp_transition_patch;
	struct klp_view *views = klp_transition_view;

	klp_drop_check();
	/* Before anything that it leads to is changed; unregistering, or the barriers below, wait for who has read it. */
	klp_set_gone(p, 0);
	if (patched && p->pub->replace) {
		drop_replaced(p);
		klp_unpatch(p, true);
	}
	if (!patched)
		klp_unpatch(p, false);
	/* Nobody is in a callback that saw functions which are gone; then none sees the view. */
	ftrace_synchronize();
	mark(p, false);
	klp_transition_patch = NULL;
	ftrace_synchronize();
	__atomic_store_n(&klp_transition_view, NULL, __ATOMIC_RELEASE);
	ftrace_synchronize();
	free_views(views);
	nholders = 0;
	klp_set_targets(p);
	for (u32 i = 0; i < p->nobjs; i++) {
		if (patched)
			klp_call_post_patch(&p->objs[i]);
		else
			klp_call_post_unpatch(&p->objs[i]);
	}
	if (!patched)
		klp_forget(p);
}

void klp_transition_cancel(void)
{
	complete(false);
}

/* ---- looks ---- */

static bool copy_ids(struct klp_view *to, const struct klp_view *from)
{
	for (u32 i = 0; i <= from->mask; i++)
		if (from->tid[i] > 0 && !klp_view_add(to, from->tid[i]))
			return false;
	return true;
}

/*
 * Everybody who has gone over has not, and the other way round: nobody's version changes. From here on nobody
 * goes over by itself in the old view, which is what the new one counts from.
 */
static int turn_round(void)
{
	struct klp_view *old = klp_transition_view, *v = new_view(!old->target, NULL);

	if (!v)
		return -ENOMEM;
	klp_set_check(NULL);
	klp_set_gone(klp_transition_patch, 0);
	if (!klp_wait_for_readers())
		ftrace_synchronize();
	/* From one that is open everybody goes back whom it has not had from the one before. */
	if (old->state == KLP_VIEW_CLOSED) {
		v->gone = old;
	} else {
		v->state = KLP_VIEW_CLOSED;
		if (old->gone && !copy_ids(v, old->gone)) {
			free_views(v);
			return -ENOMEM;
		}
	}
	publish(v);
	return 0;
}

/* All threads are put into the view, and from then on whoever is not in it has gone over. */
static int close_view(struct klp_view *v)
{
	int err;

	if (v->full)
		return -EAGAIN;
	err = klp_view_fill(v);
	if (err)
		return err;
	__atomic_store_n(&v->state, KLP_VIEW_CLOSING, __ATOMIC_SEQ_CST);
	err = !klp_wait_for_readers() || v->full ? -EAGAIN : 0;
	__atomic_store_n(&v->state, err ? KLP_VIEW_OPEN : KLP_VIEW_CLOSED, __ATOMIC_SEQ_CST);
	return err;
}

/* Before the first look of a process, and where somebody found no room: a view that everybody is to be put into. */
static int renew_view(void)
{
	struct klp_view *v;

	if (klp_process->same && !(klp_transition_view->state == KLP_VIEW_OPEN && klp_transition_view->full))
		return 0;
	v = new_view(klp_transition_view->target, klp_process->same ? klp_transition_view->gone : NULL);
	if (!v)
		return -ENOMEM;
	publish(v);
	if (klp_process->same)
		return 0;
	/* They did not come along over the fork. */
	__atomic_store_n(&klp_check_readers, 0, __ATOMIC_SEQ_CST);
	klp_process->same = true;
	return 0;
}

static void count_stack(unsigned long lo, unsigned long hi, void *data)
{
	++*(u32 *)data;
}

/* Is it to be looked at while nobody runs? */
static bool at_once(void)
{
	u32 stacks = 0;

	ftrace_shadow_for_each_foreign(count_stack, &stacks);
	return stacks || ftrace_count_threads() == 1;
}

static int look_at_stacks(struct klp_look *look, const char **why)
{
	int err;

	if (at_once())
		return klp_look_at_all(look, why);
	err = look->view->state == KLP_VIEW_CLOSED ? 0 : close_view(look->view);
	/* Too many come and go, or a signal handler has left one in the middle by longjmp. */
	return err ? klp_look_at_all(look, why) : klp_look_at_each(look, why);
}

/* How many hold the transition up now, or -errno. */
static int look(void)
{
	struct unwind_regs self;
	struct klp_look look = {
		.check = klp_check_now(), .self = &self, .self_tid = ft_gettid(),
		.self_tcb = (unsigned long)__builtin_thread_pointer(), .readers = &klp_check_readers,
	};
	struct klp_check *made = NULL;		/* else it may be taken away at any time, and is not ours to free */
	const char *why = "no memory";
	int err;

	ft_memset(&self, 0, sizeof(self));
	arch_unwind_here(&self);
	if (!holders)
		holders = scratch_alloc(KLP_MAX_HOLDERS * sizeof(*holders));
	look.holders = holders;
	err = holders ? renew_view() : -ENOMEM;
	look.view = klp_transition_view;
	if (!err && (!look.check || look.check->target != klp_transition_view->target ||
		     look.check->loads != READ_ONCE(klp_loads) || klp_calls_outdated(look.check))) {
		look.check = made = klp_new_check(klp_transition_patch, klp_transition_view->target, &err);
		if (err == -EAGAIN)
			why = "an object is being loaded or unloaded";
	}
	if (!err)
		err = look_at_stacks(&look, &why);
	if (err) {
		klp_free_check(made);
		return ft_log(err, "patch %s: %s", klp_patch_name(klp_transition_patch),
			      why ? why : "the stacks cannot be looked at");
	}
	started = true;
	nholders = look.nholders;
	if (made)
		klp_set_check(made);
	if (nholders && klp_transition_view->state == KLP_VIEW_CLOSED)
		klp_set_gone(klp_transition_patch, klp_transition_view->seq);
	klp_next_round();
	klp_next_epoch();
	return (int)nholders;
}

/* Have all that the last look has found gone over by themselves? */
static bool all_went_over(void)
{
	if (!started || klp_transition_view->state != KLP_VIEW_CLOSED || !klp_process->same || nholders > KLP_MAX_HOLDERS)
		return false;
	for (u32 i = 0; i < nholders; i++)
		if (!holders[i].tid || klp_view_has(klp_transition_view, holders[i].tid))
			return false;
	return true;
}

static int look_and_complete(void)
{
	int left = all_went_over() ? 0 : look();

	if (!left)
		complete(is_target_patched());
	return left;
}

int klp_transition_start(void)
{
	int left = look_and_complete();

	return left == -ENOMEM && klp_transition_view->state == KLP_VIEW_OPEN ? left : 0;
}

int klp_work_locked(void)
{
	return klp_transition_patch ? look_and_complete() : 0;
}

int klp_reverse_locked(void)
{
	int err;

	if (!klp_transition_patch)
		return ft_log(-EINVAL, "klp_reverse_transition: no transition is under way");
	err = turn_round();
	if (err)
		return ft_log(err, "patch %s: its transition cannot be turned round now",
			      klp_patch_name(klp_transition_patch));
	started = false;
	/* It has turned, whatever comes of the first look. */
	look_and_complete();
	return 0;
}

int klp_force_locked(void)
{
	if (!klp_transition_patch)
		return ft_log(-EINVAL, "klp_force_transition: no transition is under way");
	ft_log(0, "patch %s: its transition is forced with %u threads left: consistency is gone",
	       klp_patch_name(klp_transition_patch), nholders);
	klp_transition_patch->forced = true;
	complete(is_target_patched());
	return 0;
}

static u64 now_ms(void)
{
	s64 ts[2] = { 0, 0 };

	arch_clock_gettime(CLOCK_MONOTONIC, ts);
	return (u64)ts[0] * 1000 + (u64)ts[1] / 1000000;
}

FTRACE_PUBLIC int klp_wait_transition(int timeout_ms)
{
	u64 end = now_ms() + (u64)(timeout_ms < 0 ? 0 : timeout_ms);
	u64 pause_ms = 1;

	for (;;) {
		int left = klp_transition_work();

		if (!left || (left < 0 && left != -EAGAIN))
			return left;
		if (timeout_ms >= 0 && now_ms() >= end)
			return left;
		struct timespec pause = { 0, (long)pause_ms * 1000000 };

		arch_syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
		pause_ms = pause_ms < 64 ? 2 * pause_ms : 100;
	}
}

FTRACE_PUBLIC int klp_transition_status(struct klp_transition *status,
					int (*func)(const struct klp_holder *holder, void *data),
					void *data)
{
	ft_memset(status, 0, sizeof(*status));
	if (!smp_load_acquire(&klp_process))
		return 0;
	ft_lock(&klp_process->lock);
	if (klp_transition_patch) {
		status->patch = klp_transition_patch->pub;
		status->enabling = is_target_patched();
		status->nholders = started ? nholders : ftrace_count_threads();
	}
	for (u32 i = 0; klp_transition_patch && func && i < nholders && i < KLP_MAX_HOLDERS; i++)
		if (func(&holders[i], data))
			break;
	ft_unlock(&klp_process->lock);
	return 0;
}
