/* SPDX-License-Identifier: MIT */
/*
 * Live patching: what is on the stacks. All but klp_look_at_stacks() itself runs while every thread
 * stands still, in the helper that has stopped them (stop.h): no locks, no log.
 */
#include <sys/syscall.h>
#include <sys/uio.h>

#include "arch.h"
#include "chunk.h"
#include "livepatch.h"
#include "scratch.h"
#include "shadow.h"
#include "stop.h"
#include "thunk.h"
#include "trampoline.h"
#include "unwind-stack.h"

/* Code that must not be on a stack. */
struct klp_code {
	unsigned long lo, hi;
	const char *name;
};

struct work {
	struct klp_look *look;
	const char *why;		/* of a failure */
	struct ftrace_stopped *threads;
	u32 n;
};

/* ---- what to look for ---- */

static void add_code(struct klp_check *c, unsigned long lo, unsigned long hi, const char *name)
{
	if (c->ncode < c->max_code)
		c->code[c->ncode++] = (struct klp_code){ lo, hi, name };
}

/* How far before the function @site's jump to the stub may stand, behind a short one at the entry. */
static unsigned long bytes_before(const struct dyn_ftrace *site)
{
	if (site->form == FTRACE_FORM_MOVED)
		return ftrace_planned(site)->before;
	return site->form == FTRACE_FORM_SHORT ? ARCH_SITE_SIZE : 0;
}

/*
 * The version of @f that is being left. Its stub, thunk and trampoline, where a thread may be on its way to any. And the
 * bytes of the site, in the original: whoever is about to execute the jump there may have come from the
 * other version of a function that ended in a jump to this one, and nothing on its stack says so.
 */
static int add_func(struct klp_check *c, const struct klp_kfunc *f)
{
	const struct klp_kfunc *old = c->target ? f->below : f;
	const struct klp_ranges *ranges = !old || old->nop ? &f->old : &old->new;
	const struct dyn_ftrace *site = f->site;
	unsigned long at, end, entry;

	if (!f->patched)
		return 0;
	for (u32 i = 0; i < ranges->n; i++)
		add_code(c, ranges->r[i].lo, ranges->r[i].hi, f->name);
	at = ftrace_stub(site->id);
	add_code(c, at, at + FTRACE_STUB_SIZE, f->name);
	if (ftrace_thunk_of(site)) {
		at = ftrace_thunk_code(ftrace_thunk_of(site));
		add_code(c, at, at + FTRACE_STUB_SIZE, f->name);
	}
	if (ftrace_trampoline_range(site, &at, &end))
		add_code(c, at, end, f->name);
	entry = site->ip - site->entry_delta;
	add_code(c, entry - bytes_before(site), site->ip + site->len, f->name);
	return klp_add_calls(c, entry, ranges, f->name);
}

void klp_free_check(struct klp_check *c)
{
	if (!c)
		return;
	scratch_free(c->objects, sizeof(*c->objects));
	scratch_free(c->code, c->max_code * sizeof(*c->code));
	klp_free_places(&c->calls);
	klp_free_places(&c->tails);
	klp_free_places(&c->slots);
	ft_free(c, sizeof(*c));
}

static int fill_check(struct klp_check *c, const struct klp_kpatch *p)
{
	int err = 0;

	for (u32 i = 0; i < p->nobjs; i++)
		for (u32 k = 0; k < p->objs[i].nfuncs && !err; k++)
			err = add_func(c, &p->objs[i].funcs[k]);
	c->main_stack = unwind_main_stack();
	klp_find_resolver(c);
	return err ? err : klp_sort_calls(c);
}

struct klp_check *klp_new_check(const struct klp_kpatch *p, bool target, int *err)
{
	struct klp_check *c = ft_alloc(sizeof(*c));

	*err = -ENOMEM;
	if (!c)
		return NULL;
	c->target = target;
	c->loads = READ_ONCE(klp_loads);
	for (u32 i = 0; i < p->nobjs; i++)
		c->max_code += p->objs[i].nfuncs * (KLP_MAX_RANGES + 4);
	c->code = scratch_alloc(c->max_code * sizeof(*c->code));
	if (c->code || !c->max_code)
		c->objects = klp_hold_objects(100, err);
	if (c->objects) {
		*err = fill_check(c, p);
		ft_unlock(ftrace_lock);
	}
	if (!*err)
		return c;
	klp_free_check(c);
	return NULL;
}

static const char *find_code(const struct klp_check *c, unsigned long pc)
{
	for (u32 i = 0; i < c->ncode; i++)
		if (pc - c->code[i].lo < c->code[i].hi - c->code[i].lo)
			return c->code[i].name;
	return NULL;
}

/* Trampolines that jump elsewhere at their end: where to is on no stack. */
static bool in_trampoline(const struct unwind_objects *objects, unsigned long pc)
{
	static void (*const trampolines[])(void) = {
		ftrace_caller, ftrace_regs_caller, ftrace_replace_caller, ftrace_graph_caller,
		ftrace_graph_return,
	};
	unsigned long lo, hi;

	if (!unwind_function(objects, pc, &lo, &hi))
		return false;
	for (unsigned int i = 0; i < ARRAY_SIZE(trampolines); i++)
		if (lo == (unsigned long)trampolines[i])
			return true;
	return false;
}

/* ---- one stack ---- */

/*
 * Does a stack whose first frame is at @sp belong to the thread, and to no coroutine that the thread is on
 * now? Threads have their control block above their first frame, with thread-local variables
 * between; the main thread has its arguments and environment there.
 */
#define MAX_TLS		(256ul << 10)
#define MAX_ARGS	(8ul << 20)

static bool is_own_stack(const struct klp_check *c, unsigned long sp, unsigned long tcb)
{
	return !tcb || tcb - sp < MAX_TLS || c->main_stack - sp < MAX_ARGS;
}

const char *klp_look_at_stack(const struct klp_check *c, const struct unwind_regs *regs,
			      unsigned long stack_end, bool exact, unsigned long tcb,
			      const char **func)
{
	struct unwind_walk w;

	unwind_begin(&w, c->objects, regs, regs->reg[ARCH_UNWIND_SP], stack_end);
	w.exact = exact;
	for (;;) {
		*func = find_code(c, unwind_pc(&w));
		if (*func)
			return "it is on its stack";
		if (w.exact && in_trampoline(c->objects, unwind_pc(&w)))
			return "it is in the tracer";
		if (klp_in_linkage(c, unwind_pc(&w), w.exact))
			return "it is on its way through a linkage table";
		if (!w.exact && w.depth)
			*func = klp_passed_on(c, w.regs.reg[ARCH_UNWIND_PC], w.callee);
		if (*func)
			return "what it ends in is on its stack";
		switch (unwind_step(&w)) {
		case UNWIND_FRAME:
			continue;
		case UNWIND_START:
			/* What its own stack was left in the middle of is not seen from here. */
			return is_own_stack(c, w.regs.reg[ARCH_UNWIND_SP], tcb) ? NULL :
			       "it is on a coroutine's stack";
		case UNWIND_LOST:
			return "its stack cannot be unwound";
		}
	}
}

static const char *look_at_thread(struct klp_look *look, const struct ftrace_stopped *t,
				  const char **func)
{
	struct unwind_regs regs;
	unsigned long tcb = 0;

	*func = NULL;
	if (t->tid == look->self_tid)
		return klp_look_at_stack(look->check, look->self, t->stack_end, true,
					 look->self_tcb, func);
	if (t->fixed)
		return "it is busy in the kernel";
	if (arch_unwind_stopped(t->tid, &regs, &tcb))
		return "its registers cannot be read";
	return klp_look_at_stack(look->check, &regs, t->stack_end, true, tcb, func);
}

static void hold(struct klp_look *look, s32 tid, const char *func, const char *why)
{
	if (look->nholders < KLP_MAX_HOLDERS)
		look->holders[look->nholders] = (struct klp_holder){ tid, func, why };
	look->nholders++;
}

/* ---- stacks that nobody is on ---- */

/* Every word of it may be a return address. */
static void look_at_suspended(unsigned long lo, unsigned long hi, void *data)
{
	struct work *work = data;
	unsigned long words[512];

	for (u32 i = 0; i < work->n; i++)
		if (work->threads[i].sp >= lo && work->threads[i].sp < hi)
			return;
	while (lo < hi) {
		size_t size = hi - lo < sizeof(words) ? hi - lo : sizeof(words);
		struct iovec local = { words, size }, remote = { (void *)lo, size };
		const char *func = NULL;

		/* Where nothing is mapped any more nobody will go on. */
		if (arch_syscall(SYS_process_vm_readv, ft_getpid(), (long)&local, 1, (long)&remote,
				 1, 0) != (long)size)
			return;
		for (u32 i = 0; i < size / sizeof(long) && !func; i++)
			func = find_code(work->look->check, words[i]);
		if (func) {
			hold(work->look, 0, func, "it may be on a stack that no thread is on");
			return;
		}
		lo += size;
	}
}

/* ---- all of them ---- */

static int fail(struct work *work, int err, const char *why)
{
	work->why = why;
	return err;
}

/* Nobody runs: whoever there is, is here. */
static int fill_view(struct work *work)
{
	struct klp_view *v = work->look->view;

	for (u32 i = 0; i < work->n; i++) {
		s32 tid = work->threads[i].tid;

		if (klp_view_wants(v, tid) && !klp_view_add(v, tid))
			return fail(work, -EAGAIN, "it makes too many threads to keep their states");
	}
	__atomic_store_n(&v->state, KLP_VIEW_CLOSED, __ATOMIC_SEQ_CST);
	return 0;
}

static bool is_there(const struct ftrace_stopped *t)
{
	return !t->pending || t->fixed;
}

static void look_at_one(struct klp_look *look, const struct ftrace_stopped *t)
{
	const char *func, *why = look_at_thread(look, t, &func);

	if (why)
		hold(look, t->tid, func, why);
	else
		klp_view_remove(look->view, t->tid);
}

static int work_on(struct ftrace_stopped *threads, u32 n, void *data)
{
	struct work *work = data;
	struct klp_look *look = work->look;
	int err;

	work->threads = threads;
	work->n = n;
	look->nholders = 0;
	/* Objects that it does not know would be taken for no code, or one for another. */
	if (READ_ONCE(klp_loads) != look->check->loads)
		return fail(work, -EAGAIN, "an object is being loaded or unloaded");
	if (look->view->state != KLP_VIEW_CLOSED) {
		err = fill_view(work);
		if (err)
			return err;
	}
	for (u32 i = 0; i < n; i++)
		if (is_there(&threads[i]) && klp_view_has(look->view, threads[i].tid))
			look_at_one(look, &threads[i]);
	ftrace_shadow_for_each_foreign(look_at_suspended, work);
	return 0;
}

int klp_look_at_all(struct klp_look *look, const char **why)
{
	struct work work = { .look = look };
	int err = ftrace_stop_threads(work_on, &work, why);

	if (err && work.why)
		*why = work.why;
	return err;
}

/* ---- one after the other ---- */

/* The others run, and may be unloading something: see klp_objects_going(). */
static void visit(struct ftrace_stopped *t, void *data)
{
	struct klp_look *look = data;

	__atomic_fetch_add(look->readers, 1, __ATOMIC_SEQ_CST);
	/* That page is there. */
	t->stack_end = t->pc ? ALIGN_DOWN(t->sp, FT_PAGE_SIZE) + FT_PAGE_SIZE : 0;
	if (__atomic_load_n(&klp_loads, __ATOMIC_SEQ_CST) == look->check->loads)
		look_at_one(look, t);
	else
		hold(look, t->tid, NULL, "an object is being loaded or unloaded");
	__atomic_fetch_sub(look->readers, 1, __ATOMIC_SEQ_CST);
}

static bool is_held(const struct klp_look *look, s32 tid)
{
	for (u32 i = 0; i < look->nholders && i < KLP_MAX_HOLDERS; i++)
		if (look->holders[i].tid == tid)
			return true;
	return look->nholders > KLP_MAX_HOLDERS;
}

/* Those that were asked to stand still and are not there: gone, or in the kernel for long. */
static void see_to_missing(struct klp_look *look, const s32 *tids, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		if (!klp_view_has(look->view, tids[i]) || is_held(look, tids[i]))
			continue;
		if (arch_syscall(SYS_tgkill, ft_getpid(), tids[i], 0, 0, 0, 0) == -ESRCH)
			klp_view_remove(look->view, tids[i]);
		else
			hold(look, tids[i], NULL, "it is busy in the kernel");
	}
}

int klp_look_at_each(struct klp_look *look, const char **why)
{
	const size_t size = (look->view->mask + 1) * sizeof(s32);
	struct ftrace_stopped self = { .tid = look->self_tid,
				       .sp = (unsigned long)__builtin_frame_address(0) };
	s32 *tids = scratch_alloc(size);
	u32 n, others = 0;
	int err;

	*why = "no memory";
	if (!tids)
		return -ENOMEM;
	look->nholders = 0;
	n = klp_view_ids(look->view, tids, look->view->mask + 1);
	for (u32 i = 0; i < n; i++) {
		if (tids[i] != self.tid)
			tids[others++] = tids[i];
		else
			visit(&self, look);
	}
	err = ftrace_visit_threads(tids, others, visit, look, why);
	if (!err)
		see_to_missing(look, tids, others);
	scratch_free(tids, size);
	return err;
}
