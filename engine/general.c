/* SPDX-License-Identifier: MIT */
#include "general.h"

#include "arch.h"
#include "detour.h"
#include "object.h"
#include "scratch.h"
#include "unwind-stack.h"

struct range {
	unsigned long lo, hi;
};

/* Functions that were found to be general, of all callbacks together. */
static struct range known[256];
static u32 nknown;
bool ftrace_general_over;

#ifdef ARCH_HAS_DETOURS

#define MAX_FUNCS	16	/* that a callback may be made of, with all it calls */
#define MAX_TEXT	1024	/* bytes of each */
#define MAX_TODO	256
#define UNTOLD		16	/* bytes that are looked at where the unwind table has no function */

struct look {
	const struct unwind_objects *objects;
	struct range funcs[MAX_FUNCS];
	u8 seen[MAX_FUNCS][MAX_TEXT / 8];	/* a bit for each byte: decoded from there */
	u8 text[MAX_FUNCS][MAX_TEXT];
	u32 nfuncs;
	unsigned long todo[MAX_TODO];		/* where code goes on as well */
	u32 ntodo;
};

/* ---- what is known ---- */

static bool is_known(const struct range *r)
{
	for (u32 i = 0; i < nknown; i++)
		if (known[i].lo == r->lo && known[i].hi == r->hi)
			return true;
	return false;
}

static bool remember(const struct look *l)
{
	u32 n = nknown;

	for (u32 i = 0; i < l->nfuncs; i++) {
		if (is_known(&l->funcs[i]))
			continue;
		if (n == ARRAY_SIZE(known))
			return false;
		known[n++] = l->funcs[i];
	}
	nknown = n;
	return true;
}

/* ---- looking ---- */

static bool add_todo(struct look *l, unsigned long at)
{
	if (l->ntodo == MAX_TODO)
		return false;
	l->todo[l->ntodo++] = at;
	return true;
}

/* The function @at is in, by its index; -1: there is none, or no room. */
static int func_of(struct look *l, unsigned long at)
{
	const struct unwind_object *o;
	struct range *r, text;
	u32 i;

	for (i = 0; i < l->nfuncs; i++)
		if (at - l->funcs[i].lo < l->funcs[i].hi - l->funcs[i].lo)
			return (int)i;
	r = &l->funcs[i];
	o = i < MAX_FUNCS ? unwind_object_of(l->objects, at) : NULL;
	if (!o || !unwind_text_of(o, at, &text.lo, &text.hi))
		return -1;
	/* Thunks that tell i386's code where it is may come from the compiler's own objects, without an entry. */
	if (!unwind_function(l->objects, at, &r->lo, &r->hi)) {
		r->lo = at;
		r->hi = text.hi - at < UNTOLD ? text.hi : at + UNTOLD;
	}
	if (r->lo < text.lo || r->hi > text.hi || r->hi - r->lo > MAX_TEXT)
		return -1;
	detour_read_text(r->lo, l->text[i], r->hi - r->lo);
	l->nfuncs++;
	return (int)i;
}

/* Who stands at @at may send calls elsewhere. */
static bool may_leave(unsigned long at, const struct dyn_ftrace *site)
{
	return probe_point_at(at) ||
	       (site && (site->flags & (FTRACE_SITE_IPMODIFY | FTRACE_SITE_DIRECT) || probe_at_site(site)));
}

/* From @at on until nothing new comes. False: something that is not general, or not understood. */
static bool look_from(struct look *l, unsigned long at)
{
	for (;;) {
		const struct dyn_ftrace *site = ftrace_site_at(at);
		int i = func_of(l, at);
		struct arch_general insn;
		unsigned long off;

		if (i < 0 || may_leave(at, site))
			return false;
		off = at - l->funcs[i].lo;
		if (l->seen[i][off / 8] & 1 << off % 8)
			return true;
		l->seen[i][off / 8] |= (u8)(1 << off % 8);
		/* Now a nop, now a jump to a stub, which keeps all registers. */
		if (site && site->ip == at && site->form != FTRACE_FORM_MOVED && site->flags & FTRACE_SITE_ARMED) {
			at = arch_site_body(site);
			continue;
		}
		if (!arch_insn_is_general(&l->text[i][off], l->funcs[i].hi - at, at, &insn) ||
		    (insn.target && !add_todo(l, insn.target)))
			return false;
		if (insn.ends)
			return true;
		at += insn.len;
	}
}

/* All of @funcs, of which 0 is none, and what they call. */
static bool is_general_among(const unsigned long *funcs, u32 n, const struct unwind_objects *objects)
{
	struct look *l = scratch_alloc(sizeof(*l));
	bool general = l;

	if (l)
		l->objects = objects;
	for (u32 i = 0; i < n && general; i++)
		general = !funcs[i] || add_todo(l, funcs[i]);
	while (general && l->ntodo)
		general = look_from(l, l->todo[--l->ntodo]);
	general = general && remember(l);
	scratch_free(l, sizeof(*l));
	return general;
}

static bool is_general(const unsigned long *funcs, u32 n)
{
	struct unwind_objects *objects;
	bool general;

	if (ftrace_general_over)
		return false;
	objects = scratch_alloc(sizeof(*objects));
	general = objects && !unwind_objects_open(objects) && is_general_among(funcs, n, objects);
	scratch_free(objects, sizeof(*objects));
	return general;
}

#else

static bool is_general_among(const unsigned long *funcs, u32 n, const struct unwind_objects *objects)
{
	return false;
}

static bool is_general(const unsigned long *funcs, u32 n)
{
	return false;
}

#endif

/* ---- whose callbacks ---- */

/* Trampolines read these flags. */
static void drop(unsigned long *flags, unsigned long seen, unsigned long general)
{
	if (*flags & seen)
		WRITE_ONCE(*flags, *flags & ~(seen | general));
}

void ftrace_ops_see_general(struct ftrace_ops *ops)
{
	unsigned long func = (unsigned long)ops->func;

	if (!(ops->flags & (FTRACE_OPS_FL_GENERAL_REGS | FTRACE_OPS_FL_RECORD)) && is_general(&func, 1))
		ops->flags |= FTRACE_OPS_FL_GENERAL_REGS | FTRACE_OPS_FL_SEEN_GENERAL;
}

void ftrace_ops_forget_general(struct ftrace_ops *ops)
{
	drop(&ops->flags, FTRACE_OPS_FL_SEEN_GENERAL, FTRACE_OPS_FL_GENERAL_REGS);
}

void fgraph_ops_see_general(struct fgraph_ops *gops)
{
	unsigned long funcs[] = { (unsigned long)gops->entryfunc, (unsigned long)gops->retfunc };

	if (!(gops->flags & (FGRAPH_OPS_FL_GENERAL_REGS | FGRAPH_OPS_FL_RECORD)) && is_general(funcs, 2))
		gops->flags |= FGRAPH_OPS_FL_GENERAL_REGS | FGRAPH_OPS_FL_SEEN_GENERAL;
}

void fgraph_ops_forget_general(struct fgraph_ops *gops)
{
	drop(&gops->flags, FGRAPH_OPS_FL_SEEN_GENERAL, FGRAPH_OPS_FL_GENERAL_REGS);
}

void kprobe_see_general(struct kprobe *kp, const struct unwind_objects *objects)
{
	const struct kretprobe *rp = container_of(kp, struct kretprobe, kp);
	bool is_return = kp->reserved[KPROBE_IS_RETURN];
	unsigned long funcs[] = {
		(unsigned long)(is_return ? (void *)rp->entry_handler : (void *)kp->pre_handler),
		(unsigned long)(is_return ? (void *)rp->handler : (void *)kp->post_handler),
	};

	if (!ftrace_general_over && !(kp->flags & KPROBE_FLAG_GENERAL_REGS) && is_general_among(funcs, 2, objects))
		kp->flags |= KPROBE_FLAG_GENERAL_REGS | KPROBE_FLAG_SEEN_GENERAL;
}

void kprobe_forget_general(struct kprobe *kp)
{
	if (kp->flags & KPROBE_FLAG_SEEN_GENERAL)
		__atomic_fetch_and(&kp->flags, ~(KPROBE_FLAG_GENERAL_REGS | KPROBE_FLAG_SEEN_GENERAL),
				   __ATOMIC_RELAXED);
}

bool ftrace_general_at(unsigned long addr)
{
	for (u32 i = 0; i < nknown && !ftrace_general_over; i++)
		if (addr - known[i].lo < known[i].hi - known[i].lo)
			return true;
	return false;
}

void ftrace_general_end(void)
{
	/* Sites first: who has the flag still is called with vectors saved or without. */
	ftrace_general_over = true;
	ftrace_update_all();
	for (struct ftrace_ops *ops = ftrace_ops_list; ops; ops = ftrace_ops_next(ops))
		ftrace_ops_forget_general(ops);
	for (unsigned int i = 0; i < FGRAPH_MAX_OPS; i++)
		if (fgraph_array[i])
			fgraph_ops_forget_general(fgraph_array[i]);
}
