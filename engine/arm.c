/* SPDX-License-Identifier: MIT */
/*
 * Arming an object's sites: the displacements to their stubs are written, and from then on one byte
 * switches each. A site may be several instructions (five nops); where threads run that could stand between
 * them, all are stopped.
 */
#include "arch.h"
#include "chunk.h"
#include "gdb.h"
#include "guest.h"
#include "object.h"
#include "perfmap.h"
#include "site.h"
#include "stop.h"
#include "text.h"
#include "thunk.h"

#define MAX_TRIES	5		/* stops that are tried when one may go better in a moment */
#define MAX_BUSY	64u

#define BUSY	"a signal has interrupted a thread in the middle of it"

struct arming {
	struct ftrace_object *obj;
	struct ftrace_text text;
	const struct dyn_ftrace *busy[MAX_BUSY];	/* sites that handlers will return into */
	u32 nbusy;
	u32 refused;
	const char *why;
	int err;
};

static bool is_busy(const struct arming *a, const struct dyn_ftrace *site)
{
	for (u32 i = 0; i < a->nbusy; i++)
		if (a->busy[i] == site)
			return true;
	return false;
}

/* What stands there now, for ftrace_object_disarm(). */
static void keep_bytes(struct ftrace_object *obj, const struct arch_patch *patch, int n)
{
	for (int i = 0; i < n && obj->before; i++) {
		struct arch_patch *before = &obj->before[obj->nbefore++];

		before->addr = patch[i].addr;
		before->len = patch[i].len;
		ft_memcpy(before->bytes, (const void *)patch[i].addr, patch[i].len);
	}
}

/* Write them all. No thread may stand in the bytes. Calls nothing that a helper may not (stop.h). */
static void write_sites(struct arming *a)
{
	struct ftrace_object *obj = a->obj;

	for (u32 id = obj->first_site; id < obj->first_site + obj->nsites && !a->err;) {
		/* One write a page; its other bytes are rewritten with themselves. */
		u8 page[FT_PAGE_SIZE + 16];
		unsigned long base = ftrace_site(id)->ip, end = base;
		u32 first = id, last = id;

		for (; last < obj->first_site + obj->nsites; last++) {
			struct dyn_ftrace *site = ftrace_site(last);

			if (site->ip + 8 - base > FT_PAGE_SIZE)
				break;
		}
		for (; id < last; id++) {
			struct arch_patch patch[ARCH_SITE_PATCHES];
			struct dyn_ftrace *site = ftrace_site(id);
			const char *bad = is_busy(a, site) ? BUSY : arch_site_check(site);
			int n = bad ? 0 : arch_site_arm(site, ftrace_stub(id), patch);

			if (bad || n < 0) {
				site->flags |= FTRACE_SITE_REFUSED;
				a->why = bad ? bad : "its stub is out of reach";
				a->refused++;
				continue;
			}
			keep_bytes(obj, patch, n);
			for (int i = 0; i < n && !a->err; i++) {
				if (patch[i].addr < base) {	/* before the first site */
					a->err = ftrace_text_write(&a->text, patch[i].addr,
								patch[i].bytes, patch[i].len);
					continue;
				}
				if (end < patch[i].addr + patch[i].len) {
					/* Bytes not copied yet. */
					ft_memcpy(page + (end - base), (const void *)end,
						  patch[i].addr + patch[i].len - end);
					end = patch[i].addr + patch[i].len;
				}
				ft_memcpy(page + (patch[i].addr - base), patch[i].bytes,
					  patch[i].len);
			}
			site->flags |= FTRACE_SITE_ARMED | FTRACE_SITE_STUB;
		}
		if (end > base && !a->err)
			a->err = ftrace_text_write(&a->text, base, page, end - base);
		if (a->err) {
			for (u32 i = first; i < id; i++)
				ftrace_site(i)->flags &= ~(u32)FTRACE_SITE_ARMED;
		}
	}
	arch_poke_sync();
}

/* The site whose bytes behind the first instruction's beginning hold @addr. */
static struct dyn_ftrace *site_around(const struct arming *a, unsigned long addr)
{
	u32 lo = a->obj->first_site, end = lo + a->obj->nsites, hi = end;
	struct dyn_ftrace *site;

	while (lo < hi) {		/* the first at @addr or behind */
		u32 mid = lo + (hi - lo) / 2;

		if (ftrace_site(mid)->ip < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == a->obj->first_site)
		return NULL;
	site = ftrace_site(lo - 1);
	return addr - site->ip < site->len ? site : NULL;
}

/* Frames of signal handlers hold the place that was interrupted, and return there. */
static int look_at_stack(struct arming *a, const struct ftrace_stopped *t)
{
	unsigned long first = ftrace_site(a->obj->first_site)->ip;
	unsigned long size = ftrace_site(a->obj->first_site + a->obj->nsites - 1)->ip + 16 - first;
	const unsigned long *p = (const unsigned long *)ALIGN_UP(t->sp, sizeof(long));
	const unsigned long *end = (const unsigned long *)ALIGN_DOWN(t->stack_end, sizeof(long));

	for (; p < end; p++) {
		const struct dyn_ftrace *site = *p - first < size ? site_around(a, *p) : NULL;

		if (!site || is_busy(a, site))
			continue;
		if (a->nbusy == MAX_BUSY)
			return -EAGAIN;
		a->busy[a->nbusy++] = site;
	}
	return 0;
}

/* What is between the instructions of a site are nops: who stands there goes on behind them. */
static int arm_stopped(struct ftrace_stopped *threads, u32 n, void *data)
{
	struct arming *a = data;

	a->nbusy = 0;
	if (ftrace_stacks_too_large(threads, n))
		return -E2BIG;
	for (u32 i = 0; i < n; i++) {
		struct ftrace_stopped *t = &threads[i];
		struct dyn_ftrace *site = t->pc ? site_around(a, t->pc) : NULL;
		int err = t->stack_end > t->sp ? look_at_stack(a, t) : 0;

		if (err)
			return err;
		if (site && t->fixed)
			return -EAGAIN;
		if (site)
			t->new_pc = site->ip + site->len;
	}
	write_sites(a);
	return 0;
}

static int stop_and_arm(struct arming *a, const char **why)
{
	struct { long sec, nsec; } pause = { 0, 1000000 };
	int err = -EAGAIN;

	for (unsigned int i = 0; i < MAX_TRIES && err == -EAGAIN; i++) {
		if (i)
			arch_syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
		pause.nsec *= 2;
		*why = NULL;
		err = ftrace_stop_threads(arm_stopped, a, why);
	}
	if (err && !*why)
		*why = err == -E2BIG ? "the threads' stacks are too large to be looked through" : BUSY;
	return err;
}

static size_t before_size(const struct ftrace_object *obj)
{
	return (size_t)obj->nsites * ARCH_SITE_PATCHES * sizeof(*obj->before);
}

int ftrace_object_arm(struct ftrace_object *obj, bool alone)
{
	struct arming a = { .obj = obj };
	const char *why;
	int err;

	obj->nbefore = 0;
	if (ftrace_is_guest())
		obj->before = ft_alloc(before_size(obj));
	ftrace_text_open(&a.text);
	a.err = ftrace_chunk_write_stubs(&a.text, obj->first_site, obj->nsites);
	err = a.err || alone ? 0 : stop_and_arm(&a, &why);
	if (!a.err && alone)
		write_sites(&a);
	ftrace_text_close(&a.text);
	if (err) {
		ft_log(err, "%s: its functions cannot be traced: threads run, and cannot be stopped: "
		       "%s", obj->name, why);
		obj->refused_now = obj->nsites;
		obj->refused_why = why;
		return 0;
	}
	obj->refused_now = a.refused;
	obj->refused_why = a.why;
	if (a.refused)
		ft_log(0, "%s: %u of %u functions cannot be traced now: %s", obj->name, a.refused,
		       obj->nsites, a.why);
	ftrace_gdb_update();
	ftrace_perf_map_update();
	return a.err;
}

/* ---- and back ---- */

/* Patches that lie together are written together, with what is between them as it is. */
static int write_back(struct arming *a)
{
	const struct arch_patch *p = a->obj->before, *end = p + a->obj->nbefore;
	u8 window[FT_PAGE_SIZE];
	int err = 0;

	while (p < end && !err) {
		unsigned long lo = p->addr, hi = lo;
		const struct arch_patch *q;

		for (q = p; q < end && q->addr >= lo && q->addr + q->len - lo <= sizeof(window); q++)
			if (q->addr + q->len > hi)
				hi = q->addr + q->len;
		ft_memcpy(window, (const void *)lo, hi - lo);
		for (; p < q; p++)
			ft_memcpy(window + (p->addr - lo), p->bytes, p->len);
		err = ftrace_text_write(&a->text, lo, window, hi - lo);
	}
	arch_poke_sync();
	return err;
}

/*
 * All sites are off. Who is on the way from a stub to a body may go to its end by bytes that are no
 * instruction's beginning then: nobody may be in a stub or in the library.
 */
static int disarm_stopped(struct ftrace_stopped *threads, u32 n, void *data)
{
	struct arming *a = data;

	a->nbusy = 0;
	if (ftrace_guest_code_is_used(threads, n, true))
		return -EAGAIN;
	for (u32 i = 0; i < n; i++) {
		struct ftrace_stopped *t = &threads[i];
		struct dyn_ftrace *site = t->pc ? site_around(a, t->pc) : NULL;
		int err = t->stack_end > t->sp ? look_at_stack(a, t) : 0;

		if (err || a->nbusy || (site && t->fixed))
			return -EAGAIN;
		if (site)
			t->new_pc = site->ip + site->len;
	}
	return write_back(a);
}

int ftrace_object_disarm(struct ftrace_object *obj)
{
	struct { long sec, nsec; } pause = { 0, 250000 };
	struct arming a = { .obj = obj };
	const char *why = NULL;
	int err;

	ftrace_text_open(&a.text);
	for (unsigned int i = 0;; i++) {
		err = ftrace_stop_threads(disarm_stopped, &a, &why);
		if (err != -EAGAIN || i == 4 * MAX_TRIES)
			break;
		arch_syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
		if (pause.nsec < 20000000)
			pause.nsec *= 2;
	}
	ftrace_text_close(&a.text);
	if (err)
		return ft_log(err, "%s: its code cannot be put back: %s", obj->name,
			      why ? why : err == -EAGAIN ? "there is always a thread in the middle of it" :
			      "it cannot be written");
	for (u32 id = obj->first_site; id < obj->first_site + obj->nsites; id++)
		ftrace_site(id)->flags &= ~(u32)FTRACE_SITE_ARMED;
	ftrace_thunks_gone(obj);		/* armed again they lead to the stubs */
	ft_free(obj->before, before_size(obj));
	obj->before = NULL;
	obj->nbefore = 0;
	return 0;
}
