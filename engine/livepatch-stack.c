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
#include "shadow.h"
#include "stop.h"
#include "thunk.h"
#include "unwind-stack.h"

/* Code that must not be on a stack. */
struct klp_code {
	unsigned long lo, hi;
	const char *name;
};

struct work {
	struct klp_look *look;
	struct klp_view **in_force;
	const char *why;		/* of a failure */
	struct ftrace_stopped *threads;
	u32 n;
};

/* ---- views ---- */

static u32 slot_of(const struct klp_view *v, s32 tid)
{
	return (u32)tid * 0x9e3779b1u >> 7 & v->mask;
}

bool klp_view_has(const struct klp_view *v, s32 tid)
{
	for (u32 i = slot_of(v, tid);; i = (i + 1) & v->mask) {
		s32 there = READ_ONCE(v->tid[i]);

		if (there == tid)
			return true;
		if (!there)
			return false;
	}
}

/* False: it is full. One slot in eight is to be used at most, so that looks are short. */
static bool view_add(struct klp_view *v, s32 tid, u32 *used)
{
	u32 i = slot_of(v, tid);

	if (++*used > v->mask / 4)
		return false;
	while (v->tid[i])
		i = (i + 1) & v->mask;
	v->tid[i] = tid;
	return true;
}

void klp_view_remove(struct klp_view *v, s32 tid)
{
	for (u32 i = slot_of(v, tid); v->tid[i]; i = (i + 1) & v->mask)
		if (v->tid[i] == tid)
			WRITE_ONCE(v->tid[i], -1);
}

/* ---- what to look for ---- */

static void add_code(struct klp_check *c, unsigned long lo, unsigned long hi, const char *name)
{
	if (c->ncode < c->max_code)
		c->code[c->ncode++] = (struct klp_code){ lo, hi, name };
}

/* The version of @f that is being left; its stub and thunk, where a thread may be on its way to any. */
static void add_func(struct klp_check *c, const struct klp_kfunc *f)
{
	const struct klp_kfunc *old = c->target ? f->below : f;
	const struct klp_ranges *ranges = !old || old->nop ? &f->old : &old->new;
	unsigned long at;

	if (!f->patched)
		return;
	for (u32 i = 0; i < ranges->n; i++)
		add_code(c, ranges->r[i].lo, ranges->r[i].hi, f->name);
	/* Also who has not left the function's entry yet: whoever jumped there is on no stack. */
	at = f->site->ip - f->site->entry_delta;
	add_code(c, at, f->site->ip + f->site->len, f->name);
	at = ftrace_stub(f->site->id);
	add_code(c, at, at + FTRACE_STUB_SIZE, f->name);
	if (ftrace_thunk_of(f->site)) {
		at = ftrace_thunk_code(ftrace_thunk_of(f->site));
		add_code(c, at, at + FTRACE_STUB_SIZE, f->name);
	}
}

/* NULL: done; else why not. */
static const char *fill_check(struct klp_check *c, const struct klp_kpatch *p)
{
	const char *why = unwind_objects_open(c->objects);

	c->ncode = 0;
	for (u32 i = 0; !why && i < p->nobjs; i++)
		for (u32 k = 0; k < p->objs[i].nfuncs; k++)
			add_func(c, &p->objs[i].funcs[k]);
	c->main_stack = unwind_main_stack();
	c->filled = !why;
	return why;
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
		ftrace_caller, ftrace_regs_caller, ftrace_graph_caller, ftrace_graph_return,
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
	if (!t->pc)
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

/* Before anybody is looked at: those that have not gone over, in a view of its own. */
static int fill_view(struct work *work)
{
	struct klp_look *look = work->look;
	u32 used = 0;

	for (u32 i = 0; i < work->n; i++) {
		s32 tid = work->threads[i].tid;
		bool pending = look->old->all || !READ_ONCE(klp_process->same) ||
			       klp_view_has(look->old, tid);

		if (pending == look->reverse)
			continue;
		if (!view_add(look->view, tid, &used))
			return fail(work, -EAGAIN, "it makes too many threads to keep their states");
	}
	return 0;
}

static bool is_there(const struct ftrace_stopped *t)
{
	return !t->pending || t->fixed;
}

static int work_on(struct ftrace_stopped *threads, u32 n, void *data)
{
	struct work *work = data;
	struct klp_look *look = work->look;
	int err;

	work->threads = threads;
	work->n = n;
	look->nholders = 0;
	if (!look->check->filled) {
		work->why = fill_check(look->check, look->patch);
		if (work->why)
			return -EAGAIN;
	}
	if (look->view != look->old) {
		err = fill_view(work);
		if (err)
			return err;
	}
	for (u32 i = 0; i < n; i++) {
		const char *func, *why;

		if (!is_there(&threads[i]) || !klp_view_has(look->view, threads[i].tid))
			continue;
		why = look_at_thread(look, &threads[i], &func);
		if (why)
			hold(look, threads[i].tid, func, why);
		else
			klp_view_remove(look->view, threads[i].tid);
	}
	ftrace_shadow_for_each_foreign(look_at_suspended, work);
	__atomic_store_n(work->in_force, look->view, __ATOMIC_RELEASE);
	return 0;
}

int klp_look_at_stacks(struct klp_look *look, struct klp_view **in_force, const char **why)
{
	struct work work = { .look = look, .in_force = in_force };
	int err = ftrace_stop_threads(work_on, &work, why);

	if (err && work.why)
		*why = work.why;
	return err;
}
