/* SPDX-License-Identifier: MIT */
/* Switching sites of FTRACE_FORM_MOVED on and off; see moved.h. */
#include "moved.h"

#include <time.h>

#include "arch.h"
#include "chunk.h"
#include "detour.h"
#include "plan.h"
#include "scratch.h"
#include "site.h"
#include "stop.h"
#include "text.h"

#define MAX_TRIES	8
#define WINDOW		4096u		/* bytes that are read, changed and written together */

/* A site that is to be switched. */
struct change {
	u64 ip;				/* first: the order they are sorted by */
	struct dyn_ftrace *site;
	const struct ftrace_planned *func;
	const struct ftrace_template *copy;
	const char *why;		/* it was not switched, and why */
	u8 on;				/* to be */
	u8 busy;			/* this time: a thread is in the middle of it */
	u8 done;
};

struct batch {
	struct change *changes;
	u32 n;
	struct ftrace_text text;
	int err;
};

/* ---- who is in the middle of it ---- */

/* The change that puts an instruction over @addr which does not begin there. */
static struct change *change_around(struct batch *b, unsigned long addr)
{
	u32 lo = 0, hi = b->n;

	while (lo < hi) {		/* the first that begins at @addr or behind */
		u32 mid = lo + (hi - lo) / 2;

		if (b->changes[mid].ip < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < b->n && b->changes[lo].func->before) {
		unsigned long jump = b->changes[lo].ip - b->changes[lo].func->before;

		if (addr > jump && addr - jump < ARCH_SITE_SIZE)
			return &b->changes[lo];
	}
	if (!lo || addr - b->changes[lo - 1].ip >= b->changes[lo - 1].func->len)
		return NULL;
	return &b->changes[lo - 1];
}

/* The same for changes that will put a jump there, and have not done so. */
static struct change *endangered(struct batch *b, unsigned long addr)
{
	struct change *c = change_around(b, addr);

	return c && c->on && !c->done && !c->why ? c : NULL;
}

/* Who is in the detour of a probe that stood among the bytes goes back to between instructions that were there. */
static void look_at_detour(struct batch *b, unsigned long pc)
{
	struct probe_detour *d = detour_at(pc);
	struct change *c = d ? endangered(b, d->addr + d->moved) : NULL;

	if (c && d->addr + d->moved > c->ip)
		c->busy = true;
}

/*
 * A thread in the middle of bytes that will not be there any more goes on at the same place of the
 * copy. One that is in a system call may go back to its instruction: that one counts.
 */
static void look_at_pc(struct batch *b, struct ftrace_stopped *t)
{
	unsigned long back = t->restarts ? ARCH_SYSCALL_SIZE : 0, pc = t->pc - back;
	struct change *c;
	int to;

	if (!t->pc)
		return;
	look_at_detour(b, t->pc);
	c = endangered(b, pc);
	if (!c && back)
		c = endangered(b, t->pc);
	if (!c)
		return;
	to = pc > c->ip ? ftrace_copied_to(c->copy, (unsigned int)(pc - c->ip)) : -ENOENT;
	if (to < 0 || t->fixed)
		c->busy = true;
	else
		t->new_pc = ftrace_copy(c->site->id) + (unsigned int)to + back;
}

/* The text of the batch's objects, for a quick look whether a word can mean anything. */
#define MAX_SPANS	32
struct spans {
	u32 n;
	struct {
		unsigned long lo, size;
	} span[MAX_SPANS];
};

static void collect_spans(struct batch *b, struct spans *s)
{
	const struct ftrace_object *last = NULL;

	s->n = 0;
	for (u32 i = 0; i < b->n; i++) {
		const struct change *c = &b->changes[i];
		unsigned long end = c->ip + c->func->len;

		if (!c->on || c->done || c->why)
			continue;
		if (c->site->obj != last && s->n < MAX_SPANS)
			s->span[s->n++].lo = c->ip - c->func->before;
		s->span[s->n - 1].size = end - s->span[s->n - 1].lo;
		last = c->site->obj;
	}
}

/* Frames of signal handlers hold the place that was interrupted, and return there. */
static void look_at_stack(struct batch *b, const struct spans *s, const struct ftrace_stopped *t)
{
	const unsigned long *p = (const unsigned long *)ALIGN_UP(t->sp, sizeof(long));
	const unsigned long *end = (const unsigned long *)ALIGN_DOWN(t->stack_end, sizeof(long));

	for (; p < end; p++) {
		look_at_detour(b, *p);
		for (u32 i = 0; i < s->n; i++) {
			struct change *c;

			if (likely(*p - s->span[i].lo >= s->span[i].size))
				continue;
			c = endangered(b, *p);
			if (c)
				c->busy = true;
		}
	}
}

static int look_at_threads(struct batch *b, struct ftrace_stopped *threads, u32 n)
{
	struct spans spans;

	collect_spans(b, &spans);
	if (!spans.n)
		return 0;
	if (ftrace_stacks_too_large(threads, n))
		return -E2BIG;
	for (u32 i = 0; i < n; i++) {
		look_at_pc(b, &threads[i]);
		if (threads[i].stack_end > threads[i].sp)
			look_at_stack(b, &spans, &threads[i]);
	}
	/* Whose site is busy after all stays where it is. */
	for (u32 i = 0; i < n; i++) {
		struct change *c;

		if (!threads[i].new_pc)
			continue;
		c = endangered(b, threads[i].pc - (threads[i].restarts ? ARCH_SYSCALL_SIZE : 0));
		if (!c || c->busy)
			threads[i].new_pc = 0;
		else
			ftrace_stops.moved++;
	}
	for (u32 i = 0; i < b->n; i++)
		ftrace_stops.busy += b->changes[i].busy;
	return 0;
}

/* ---- writing ---- */

static int read_text(struct ftrace_text *text, unsigned long addr, u8 *buf, size_t len)
{
	if (text->mem >= 0)
		return ft_pread(text->mem, buf, len, addr) == (long)len ? 0 : -EFAULT;
	ft_memcpy(buf, (const void *)addr, len);
	return 0;
}

/* Where what is written for @c begins. */
static unsigned long first_byte(const struct change *c)
{
	return c->ip - c->func->before;
}

/* What must stand at @c's site (@at) now, and what is to. NULL: so it is; else why not. */
static const char *change_bytes(const struct change *c, u8 *at)
{
	const unsigned int len = c->func->len, before = c->func->before;
	struct dyn_ftrace far = *c->site;
	struct arch_patch patch[ARCH_SITE_PATCHES];
	u8 *jump = at - before, back[ARCH_SHORT_SIZE];

	/* The jump to the stub is at the function, or before it with a short one that leads there. */
	far.ip -= before;
	if (arch_site_arm(&far, ftrace_stub(c->site->id), patch) != 1)
		return "its stub is out of reach";
	if (before)
		arch_short_jump(back, before);
	if (c->on) {
		const char *why = arch_moved_check(at, c->func->orig, len);

		if (!why && before)
			why = arch_moved_check(jump, c->func->orig + len, ARCH_SITE_SIZE);
		if (why)
			return why;
		ft_memcpy(jump, patch[0].bytes, ARCH_SITE_SIZE);
		if (before)
			ft_memcpy(at, back, sizeof(back));
		return NULL;
	}
	if (ft_memcmp(jump, patch[0].bytes, ARCH_SITE_SIZE) ||
	    (before && ft_memcmp(at, back, sizeof(back))))
		return "somebody else has changed the jump to its stub";
	ft_memcpy(jump, c->func->orig + (before ? len : 0), ARCH_SITE_SIZE);
	if (before)
		ft_memcpy(at, c->func->orig, sizeof(back));
	return NULL;
}

static bool is_due(const struct change *c)
{
	return !c->done && !c->why && !c->busy;
}

/* Changes [@first, @end), which lie together. */
static void write_window(struct batch *b, u32 first, u32 end)
{
	unsigned long lo = first_byte(&b->changes[first]);
	size_t len = b->changes[end - 1].ip + b->changes[end - 1].func->len - lo;
	u8 buf[WINDOW + FTRACE_MOVED_MAX + FTRACE_BEFORE_MAX];
	bool any = false;
	int err = read_text(&b->text, lo, buf, len);

	for (u32 i = first; i < end; i++) {
		struct change *c = &b->changes[i];

		if (!is_due(c))
			continue;
		c->why = err ? "its code cannot be read" : change_bytes(c, buf + (c->ip - lo));
		any |= !c->why;
	}
	if (!any)
		return;
	err = ftrace_text_write(&b->text, lo, buf, len);
	if (err)
		b->err = err;
	for (u32 i = first; i < end; i++) {
		struct change *c = &b->changes[i];

		if (!is_due(c))
			continue;
		if (err) {
			c->why = "its code cannot be changed: is /proc mounted and writable?";
			continue;
		}
		/* Here, where nobody can be making a child of fork. */
		c->done = true;
		c->site->flags ^= FTRACE_SITE_ON;
	}
}

static void write_all(struct batch *b)
{
	for (u32 i = 0; i < b->n;) {
		u32 end = i + 1;

		if (!is_due(&b->changes[i])) {
			i++;
			continue;
		}
		while (end < b->n && b->changes[end].ip + b->changes[end].func->len -
				     first_byte(&b->changes[i]) <= WINDOW)
			end++;
		write_window(b, i, end);
		i = end;
	}
	arch_poke_sync();
}

/* While all threads stand still, perhaps in another process: see stop.h. */
static int switch_now(struct ftrace_stopped *threads, u32 n, void *data)
{
	struct batch *b = data;
	int err = look_at_threads(b, threads, n);

	if (!err)
		write_all(b);
	return err;
}

static bool left_to_do(struct batch *b)
{
	bool any = false;

	for (u32 i = 0; i < b->n; i++) {
		b->changes[i].busy = false;
		any |= is_due(&b->changes[i]);
	}
	return any;
}

static void give_up(struct batch *b, int err, const char *why)
{
	for (u32 i = 0; i < b->n; i++)
		if (is_due(&b->changes[i]))
			b->changes[i].why = why;
	b->err = err;
}

static void switch_all(struct batch *b, bool alone)
{
	struct timespec pause = { 0, 500000 };
	const char *why = NULL;
	int err = 0;

	if (alone) {			/* nobody runs this code: no thread to look at */
		write_all(b);
		return;
	}
	for (unsigned int i = 0; left_to_do(b); i++) {
		if (i == MAX_TRIES) {
			give_up(b, -EBUSY, err == -EAGAIN ? why :
				"a thread is in the middle of its first instructions");
			return;
		}
		if (i) {
			arch_syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
			pause.tv_nsec *= 2;
		}
		err = ftrace_stop_threads(switch_now, b, &why);
		if (err && err != -EAGAIN) {
			give_up(b, err, why ? why : "the threads' stacks are too large to be looked through");
			return;
		}
	}
}

/* ---- from and to sites ---- */

/* Returns whether they are in the order of addresses. */
static bool fill(struct batch *b, struct dyn_ftrace **sites)
{
	bool in_order = true;

	for (u32 i = 0; i < b->n; i++) {
		struct change *c = &b->changes[i];

		c->site = sites[i];
		c->ip = sites[i]->ip;
		c->on = !(sites[i]->flags & FTRACE_SITE_ON);
		c->func = ftrace_planned(sites[i]);
		c->copy = ftrace_plan_template(&sites[i]->obj->plan, c->func);
		if (!c->copy || sites[i]->flags & FTRACE_SITE_REFUSED)
			c->why = "its plan is damaged, or its copy out of reach";
		in_order &= !i || c->ip > c[-1].ip;
	}
	return in_order;
}

/* What became of it, into the sites; says what did not. */
static int take_results(struct batch *b)
{
	u32 switched = 0, not_on = 0, not_off = 0;
	const char *why_on = NULL, *why_off = NULL;

	for (u32 i = 0; i < b->n; i++) {
		struct change *c = &b->changes[i];

		if (!c->why) {
			switched++;
		} else if (c->on) {
			c->site->obj->refused_now++;
			c->site->obj->refused_why = why_on = c->why;
			not_on++;
		} else {
			why_off = c->why;
			not_off++;
		}
	}
	if (not_on)
		ft_log(b->err, "%u functions cannot be traced now: %s", not_on, why_on);
	if (not_off)
		ft_log(b->err, "%u functions keep the jump to their stubs, which pass everything on: %s",
		       not_off, why_off);
	if (switched || !not_on)
		return 0;
	return b->err ? b->err : -EPERM;
}

int ftrace_moved_switch(struct dyn_ftrace **sites, u32 n)
{
	struct batch b = { .n = n };
	bool alone = true;
	int err;

	if (!n)
		return 0;
	/* Their callers know what they leave alone, vector registers included. */
	arch_keep_all_vectors();
	b.changes = scratch_alloc(n * sizeof(*b.changes));
	if (!b.changes)
		return -ENOMEM;
	for (u32 i = 0; i < n; i++) {
		alone &= sites[i]->obj->fresh;
		sites[i]->obj->refused_now = 0;
	}
	ftrace_text_open(&b.text);
	err = ftrace_moved_make_stubs(&b.text, sites, n);
	if (!err) {
		/* One object's are in order; objects may not be. */
		err = fill(&b, sites) ? 0 : ft_sort(b.changes, n, sizeof(*b.changes));
	}
	if (!err) {
		switch_all(&b, alone);
		err = take_results(&b);
	} else {
		ft_log(err, "%u functions cannot be traced: no memory for their stubs, or no way to "
		       "write them (error %d)", n, -err);
	}
	ftrace_text_close(&b.text);
	scratch_free(b.changes, n * sizeof(*b.changes));
	return err;
}
