/* SPDX-License-Identifier: MIT */
/*
 * Jumps and breakpoints put over instructions, and taken away. A breakpoint is one byte: threads may run. A jump is
 * more: they stand still while it is written, and who stands behind the first of the instructions it covers
 * goes on in their copy.
 */
#include <time.h>

#include <sys/syscall.h>

#include "arch.h"
#include "detour.h"
#include "kprobe.h"
#include "scratch.h"
#include "stop.h"
#include "text.h"
#include "trap.h"

#ifdef ARCH_HAS_DETOURS

#define MAX_TRIES	8

struct change {
	u64 addr;			/* first: the order they are sorted by */
	struct probe_point *p;
	struct probe_detour *d;		/* what is to be reached, or was */
	u8 to;				/* enum detour_placed */
	bool busy, done;
	int err;
};

struct batch {
	struct change *changes;
	u32 n;
	int err;
	struct ftrace_text text;
};

/* ---- what is to stand where ---- */

static struct probe_point *placed_at(unsigned long addr)
{
	struct probe_point *p = probe_point_at(addr);

	return p && p->placed != DETOUR_NONE ? p : NULL;
}

/* A probe whose jump covers @addr, behind its first byte. */
static struct probe_point *jump_over(unsigned long addr)
{
	for (unsigned long at = addr - 1; at > addr - FTRACE_MOVED_MAX; at--) {
		struct probe_point *p = placed_at(at);

		if (p && p->detour == p->several && addr - at < p->several->moved)
			return p;
	}
	return NULL;
}

unsigned long detour_covers(unsigned long addr)
{
	struct probe_point *p = jump_over(addr);

	for (u32 i = 0; p && p->placed == DETOUR_JUMP && i < p->several->ninsns; i++)
		if (p->addr + p->several->insn[i].original == addr)
			return detour_code(p->several) + ARCH_DETOUR_COPY + p->several->insn[i].copy;
	return addr;
}

static bool probes_inside(const struct probe_point *p)
{
	for (unsigned long at = p->addr + 1; at < p->addr + p->several->moved; at++)
		if (placed_at(at) || (probe_point_at(at) && probe_point_at(at)->queued &&
				      probes_want(probe_point_at(at)->probes, NULL)))
			return true;
	return false;
}

static int no_breakpoint(unsigned long addr)
{
	return ft_log(-EBUSY, "probes: at 0x%lx libc may have all signals blocked, where a breakpoint would end the "
		      "program, and no jump fits there", addr);
}

static void add(struct batch *b, struct probe_point *p, struct probe_detour *d, u8 to)
{
	if (to == DETOUR_BREAKPOINT && trap_in_window(p->addr)) {
		b->err = no_breakpoint(p->addr);
		return;
	}
	if (to != DETOUR_NONE && trap_prepare(p->addr)) {
		b->err = -ENOMEM;
		return;
	}
	for (u32 i = 0; i < b->n; i++)
		if (b->changes[i].p == p)
			return;
	b->changes[b->n++] = (struct change){ .addr = p->addr, .p = p, .d = d, .to = to };
}

static void collect(struct batch *b, struct probe_point **points, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		struct probe_point *p = points[i], *over;
		bool wants = !p->gone && probes_want(p->probes, NULL);

		if (p->site || wants == (p->placed != DETOUR_NONE))
			continue;
		if (!wants) {
			add(b, p, p->detour, DETOUR_NONE);
			continue;
		}
		over = jump_over(p->addr);
		if (over)		/* before what is inside of it */
			add(b, over, over->single, DETOUR_BREAKPOINT);
		if (p->several && !over && !probes_inside(p))
			add(b, p, p->several, DETOUR_JUMP);
		else
			add(b, p, p->single, DETOUR_BREAKPOINT);
	}
}

/* ---- writing ---- */

/* What stands at @c's address now; its length. */
static unsigned int bytes_now(const struct change *c, u8 *out)
{
	struct probe_detour *d = c->p->placed == DETOUR_NONE ? c->d : c->p->detour;
	unsigned int len = c->to == DETOUR_JUMP || c->p->placed == DETOUR_JUMP ? ARCH_SITE_SIZE :
										   ARCH_BREAKPOINT_SIZE;

	ft_memcpy(out, d->orig, ARCH_SITE_SIZE);
	if (c->p->placed == DETOUR_JUMP)
		arch_jump_write(out, c->p->addr, detour_code(d));
	else if (c->p->placed == DETOUR_BREAKPOINT)
		ft_memcpy(out, arch_breakpoint, ARCH_BREAKPOINT_SIZE);
	return len;
}

static void write_one(struct batch *b, struct change *c)
{
	u8 now[ARCH_SITE_SIZE], next[ARCH_SITE_SIZE];
	struct probe_detour *orig = c->p->several ? c->p->several : c->d;
	unsigned int len = bytes_now(c, now);

	ft_memcpy(next, orig->orig, sizeof(next));
	if (c->to == DETOUR_JUMP)
		c->err = arch_jump_write(next, c->p->addr, detour_code(c->d));
	else if (c->to == DETOUR_BREAKPOINT)
		ft_memcpy(next, arch_breakpoint, ARCH_BREAKPOINT_SIZE);
	if (!c->err && ft_memcmp(now, (const void *)c->p->addr, len))
		c->err = -EBUSY;
	if (!c->err && c->to == DETOUR_BREAKPOINT)
		trap_set(c->p->addr, c->d);
	if (!c->err)
		c->err = ftrace_text_write(&b->text, c->p->addr, next, len);
	c->done = true;
	if (c->err)
		return;
	if (c->to != DETOUR_BREAKPOINT)
		trap_clear(c->p->addr);
	c->p->placed = c->to;
	c->p->detour = c->d;
}

/* Only one byte differs, or nobody runs. */
static bool needs_stop(const struct change *c)
{
	return c->to == DETOUR_JUMP || c->p->placed == DETOUR_JUMP;
}

/* ---- while threads stand ---- */

static struct change *inside(struct batch *b, unsigned long addr)
{
	u32 lo = 0, hi = b->n;

	while (lo < hi) {		/* the first at @addr or behind */
		u32 mid = lo + (hi - lo) / 2;

		if (b->changes[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return NULL;
	lo--;
	return b->changes[lo].to == DETOUR_JUMP && !b->changes[lo].done &&
	       addr - b->changes[lo].addr < b->changes[lo].d->moved ? &b->changes[lo] : NULL;
}

/* Who is in a detour of another probe goes back to between instructions that were there. */
static void look_at_detour(struct batch *b, unsigned long pc)
{
	for (u32 i = 0; detour_at(pc) && i < b->n; i++) {
		struct change *c = &b->changes[i];

		if (c->to == DETOUR_JUMP && !c->done &&
		    detour_leads_between(pc, (unsigned long)c->addr, (unsigned long)c->addr + c->d->moved))
			c->busy = true;
	}
}

/* A thread behind the first instruction goes on at the same one of the copy. */
static void look_at_pc(struct batch *b, struct ftrace_stopped *t)
{
	unsigned long back = t->restarts ? ARCH_SYSCALL_SIZE : 0;
	struct change *c = t->pc ? inside(b, t->pc - back) : NULL;

	look_at_detour(b, t->pc);
	if (!c)
		return;
	for (u32 i = 0; i < c->d->ninsns && !t->fixed; i++)
		if (c->addr + c->d->insn[i].original == t->pc - back) {
			t->new_pc = detour_code(c->d) + ARCH_DETOUR_COPY + c->d->insn[i].copy + back;
			return;
		}
	c->busy = true;
}

/* Frames of signal handlers hold the place that was interrupted, and return there. */
static void look_at_stack(struct batch *b, const struct ftrace_stopped *t)
{
	const unsigned long *p = (const unsigned long *)ALIGN_UP(t->sp, sizeof(long));
	const unsigned long *end = (const unsigned long *)ALIGN_DOWN(t->stack_end, sizeof(long));
	unsigned long lo = (unsigned long)b->changes[0].addr;
	unsigned long size = (unsigned long)b->changes[b->n - 1].addr + FTRACE_MOVED_MAX - lo;

	for (; p < end; p++) {
		struct change *c = likely(*p - lo >= size) ? NULL : inside(b, *p);

		if (c)
			c->busy = true;
		look_at_detour(b, *p);
	}
}

static int change_stopped(struct ftrace_stopped *threads, u32 n, void *data)
{
	struct batch *b = data;

	if (ftrace_stacks_too_large(threads, n))
		return -E2BIG;
	for (u32 i = 0; i < b->n; i++)
		b->changes[i].busy = false;
	for (u32 i = 0; i < n; i++) {
		look_at_pc(b, &threads[i]);
		if (threads[i].stack_end > threads[i].sp)
			look_at_stack(b, &threads[i]);
	}
	for (u32 i = 0; i < n; i++) {
		struct change *c = threads[i].new_pc ? inside(b, threads[i].pc - (threads[i].restarts ?
							      ARCH_SYSCALL_SIZE : 0)) : NULL;

		if (c && c->busy)
			threads[i].new_pc = 0;
	}
	for (u32 i = 0; i < b->n; i++)
		if (!b->changes[i].done && !b->changes[i].busy && needs_stop(&b->changes[i]))
			write_one(b, &b->changes[i]);
	arch_poke_sync();
	return 0;
}

static bool left_to_do(const struct batch *b)
{
	for (u32 i = 0; i < b->n; i++)
		if (!b->changes[i].done)
			return true;
	return false;
}

/* Where they do not come to stand, or stand where they must not: a breakpoint does it, and a jump stays. */
static void without_stop(struct batch *b)
{
	bool can_trap = left_to_do(b) && !trap_begin();

	for (u32 i = 0; i < b->n; i++) {
		struct change *c = &b->changes[i];

		if (c->done)
			continue;
		if (!can_trap || c->p->placed == DETOUR_JUMP) {
			c->err = -EBUSY;
			continue;
		}
		if (trap_in_window((unsigned long)c->addr)) {
			c->err = no_breakpoint((unsigned long)c->addr);
			continue;
		}
		c->to = DETOUR_BREAKPOINT;
		write_one(b, c);
	}
}

static void apply(struct batch *b)
{
	struct timespec pause = { 0, 500000 };
	const char *why = NULL;
	int err = 0;

	/* Jumps that become breakpoints: before other breakpoints where they were. */
	for (u32 i = 0; i < MAX_TRIES && left_to_do(b); i++) {
		bool stop = false;

		for (u32 k = 0; k < b->n; k++)
			stop |= !b->changes[k].done && needs_stop(&b->changes[k]);
		if (i) {
			arch_syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
			pause.tv_nsec *= 2;
		}
		if (stop)
			err = ftrace_stop_threads(change_stopped, b, &why);
		for (u32 k = 0; k < b->n; k++)
			if (!b->changes[k].done && !needs_stop(&b->changes[k]) &&
			    !jump_over((unsigned long)b->changes[k].addr))
				write_one(b, &b->changes[k]);
		if (stop && err && err != -EAGAIN)
			break;
	}
	without_stop(b);
	arch_poke_sync();
}

/* ---- */

static void set_flags(struct probe_point *p)
{
	for (struct kprobe *kp = p->probes; kp; kp = kprobe_next(kp)) {
		if (p->placed == DETOUR_JUMP)
			kp->flags |= KPROBE_FLAG_OPTIMIZED;
		else
			kp->flags &= ~(unsigned int)KPROBE_FLAG_OPTIMIZED;
	}
}

/* Whom the detours of @p call. Before anything leads to them, and after. */
static void set_call(struct probe_point *p)
{
	void (*call)(void) = ftrace_probe_pass;
	bool general;

	if (!p->gone && probes_want(p->probes, &general))
		call = general ? ftrace_probe_caller_general : ftrace_probe_caller;
	if (p->single)
		smp_store_release(&p->single->call, call);
	if (p->several)
		smp_store_release(&p->several->call, call);
}

int detours_update(struct probe_point **points, u32 n)
{
	const size_t size = 2 * n * sizeof(struct change);
	struct batch b = { .changes = scratch_alloc(size) };
	bool traps = false;
	int err = 0;

	if (n && !b.changes)
		return -ENOMEM;
	collect(&b, points, n);
	err = b.err;
	for (u32 i = 0; i < n; i++)
		if (!points[i]->site)
			set_call(points[i]);
	for (u32 i = 0; i < b.n; i++)
		traps |= b.changes[i].to == DETOUR_BREAKPOINT;
	if (traps && !err)
		err = trap_begin();
	if (b.n && !err) {
		ft_sort(b.changes, b.n, sizeof(struct change));
		ftrace_text_open(&b.text);
		apply(&b);
		ftrace_text_close(&b.text);
	}
	for (u32 i = 0; i < b.n; i++) {
		/* A jump that stays leads to a detour that passes. */
		if (b.changes[i].err && b.changes[i].to != DETOUR_NONE)
			err = b.changes[i].err;
		set_flags(b.changes[i].p);
	}
	scratch_free(b.changes, size);
	return err;
}

#else

int detours_update(struct probe_point **points, u32 n)
{
	return 0;
}

#endif
