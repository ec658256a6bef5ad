/* SPDX-License-Identifier: MIT */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "arch.h"
#include "shadow.h"
#include "thread.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* A stack, or a part of one, with its shadow mapped. */
struct range {
	unsigned long lo, hi;
	/*
	 * The thread whose own stack this is (its thread control block lies in it), NULL: a
	 * coroutine's, a signal stack: such a one may outlive the thread that was seen on it.
	 */
	struct ftrace_thread *owner;
};

#define MAX_RANGES	16384u
#define RANGES_PER_PAGE	(FT_PAGE_SIZE / sizeof(struct range))

/* Kept in pages of its own, so that a process with few stacks pays for few. */
static struct range *range_pages[MAX_RANGES / RANGES_PER_PAGE + 1];
static u32 nranges;
static struct ft_mutex *lock;		/* over all of this; only ever tried, see take_lock() */

#define SMALL_STACK	(64ul << 20)	/* up to this size a mapping is taken whole */
#define WINDOW_BELOW	(4ul << 20)	/* in a larger one: this much below sp ... */
#define WINDOW_ABOVE	(1ul << 20)	/* ... and above it */

static struct range *range(u32 i)
{
	return &range_pages[i / RANGES_PER_PAGE][i % RANGES_PER_PAGE];
}

/*
 * The lock may be held by code of this very thread that a signal interrupted and a longjmp left for good:
 * waiting has an end.
 */
static bool take_lock(void)
{
	if (!lock) {
		struct ft_mutex *m = ft_wipeonfork(FT_PAGE_SIZE), *none = NULL;

		if (!m)
			return false;
		if (!__atomic_compare_exchange_n(&lock, &none, m, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_RELAXED))
			arch_syscall(SYS_munmap, (long)m, FT_PAGE_SIZE, 0, 0, 0, 0);
	}
	for (unsigned int i = 0; i < 100000; i++) {
		if (ft_trylock(lock))
			return true;
		if (i > 100 && !ftrace_no_syscalls)
			arch_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
	}
	return false;
}

static struct range *find_range(unsigned long sp)
{
	for (u32 i = 0; i < nranges; i++)
		if (sp - range(i)->lo < range(i)->hi - range(i)->lo)
			return range(i);
	return NULL;
}

/* The mapping around an address, by /proc/self/maps. */
struct maps_search {
	unsigned long sp, lo, hi;
	unsigned long below_end;	/* end of the mapping before it */
	bool grows;			/* it is the main stack, which grows down */
};

static unsigned long hex(const char **p)
{
	unsigned long v = 0;

	for (;; (*p)++) {
		char c = **p;

		if (c >= '0' && c <= '9')
			v = v << 4 | (unsigned long)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (unsigned long)(c - 'a' + 10);
		else
			return v;
	}
}

static int maps_line(char *text, void *data)
{
	struct maps_search *s = data;
	const char *p = text;
	unsigned long lo, hi;
	size_t len = ft_strlen(text);

	lo = hex(&p);
	if (*p++ != '-')
		return 0;
	hi = hex(&p);
	if (s->sp < lo)
		return 1;
	if (s->sp >= hi) {
		s->below_end = hi;
		return 0;
	}
	s->lo = lo;
	s->hi = hi;
	s->grows = len > 7 && !ft_strcmp(text + len - 7, "[stack]");
	return 1;
}

/* The part of the address space whose shadow is wanted for a stack pointer of @sp. */
static int wanted(unsigned long sp, unsigned long *lo, unsigned long *hi)
{
	struct maps_search s = { .sp = sp };
	struct rlimit limit;

	ft_for_each_line("/proc/self/maps", maps_line, &s);
	if (!s.hi) {
		/* No /proc: pages around sp that exist, one by one downwards would be slow; guess. */
		s.lo = ALIGN_DOWN(sp, FT_PAGE_SIZE) - (256ul << 10);
		s.hi = ALIGN_DOWN(sp, FT_PAGE_SIZE) + (64ul << 10);
	}
	if (s.grows) {
		unsigned long size = 8ul << 20;

		if (!arch_syscall(SYS_prlimit64, 0, RLIMIT_STACK, 0, (long)&limit, 0, 0))
			size = limit.rlim_cur < SMALL_STACK ? limit.rlim_cur : SMALL_STACK;
		if (s.hi - s.lo < size)
			s.lo = s.hi - size;
		if (s.lo < s.below_end)
			s.lo = s.below_end;
	} else if (s.hi - s.lo > SMALL_STACK) {
		if (sp - s.lo > WINDOW_BELOW)
			s.lo = ALIGN_DOWN(sp - WINDOW_BELOW, FT_PAGE_SIZE);
		if (s.hi - sp > WINDOW_ABOVE)
			s.hi = ALIGN_UP(sp + WINDOW_ABOVE, FT_PAGE_SIZE);
	}
	*lo = ALIGN_DOWN(s.lo, FT_PAGE_SIZE);
	*hi = ALIGN_UP(s.hi, FT_PAGE_SIZE);
	return 0;
}

static int map_shadow(unsigned long lo, unsigned long hi)
{
	void *at = arch_shadow(lo), *p;

	p = ft_mmap(at, hi - lo, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (ft_is_err(p))
		return (int)(long)p;
	if (p != at) {		/* a kernel before 4.17 takes the address for a hint */
		arch_syscall(SYS_munmap, (long)p, (long)(hi - lo), 0, 0, 0, 0);
		return -EEXIST;
	}
	/* A huge page for a few return addresses would be a waste. */
	arch_syscall(SYS_madvise, (long)p, (long)(hi - lo), MADV_NOHUGEPAGE, 0, 0, 0);
	return 0;
}

static int add_range(unsigned long lo, unsigned long hi, struct range **out)
{
	u32 page = nranges / RANGES_PER_PAGE;

	if (nranges == MAX_RANGES)
		return -ENOSPC;
	if (!range_pages[page]) {
		void *p = ft_mmap(NULL, FT_PAGE_SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (ft_is_err(p))
			return -ENOMEM;
		range_pages[page] = p;
	}
	*out = range(nranges);
	(*out)->lo = lo;
	(*out)->hi = hi;
	(*out)->owner = NULL;
	nranges++;
	return 0;
}

static int enter_locked(struct ftrace_thread *t, unsigned long sp, struct range **out)
{
	unsigned long lo, hi;
	int err;

	*out = find_range(sp);
	if (*out)
		return 0;
	if (ftrace_no_syscalls)
		return -EPERM;
	err = wanted(sp, &lo, &hi);
	if (err)
		return err;
	/* What others have mapped already stays theirs: take what is left around sp. */
	for (u32 i = 0; i < nranges; i++) {
		struct range *r = range(i);

		if (r->hi <= sp && r->hi > lo)
			lo = r->hi;
		if (r->lo > sp && r->lo < hi)
			hi = r->lo;
	}
	err = map_shadow(lo, hi);
	if (err && hi - lo > (2ul << 20)) {
		/* Address space or locked memory may be short: try for less. */
		if (sp - lo > (1ul << 20))
			lo = ALIGN_DOWN(sp, FT_PAGE_SIZE) - (1ul << 20);
		if (hi - sp > (1ul << 20))
			hi = ALIGN_DOWN(sp, FT_PAGE_SIZE) + (1ul << 20);
		err = map_shadow(lo, hi);
	}
	return err ? err : add_range(lo, hi, out);
}

int ftrace_shadow_enter(struct ftrace_thread *t, unsigned long sp)
{
	unsigned long tcb = (unsigned long)__builtin_thread_pointer();
	struct range *r;
	int err;

	if (sp - t->bad_lo < t->bad_size)
		return -ENOMEM;
	if (!take_lock())
		return -EBUSY;
	err = enter_locked(t, sp, &r);
	if (!err) {
		if (tcb - r->lo < r->hi - r->lo)
			r->owner = t;
		/* Never lo of one stack with the size of another, for a handler's fast path. */
		WRITE_ONCE(t->stack_size, 0);
		barrier();
		WRITE_ONCE(t->stack_lo, r->lo);
		barrier();
		WRITE_ONCE(t->stack_size, r->hi - r->lo);
	} else {
		t->bad_lo = ALIGN_DOWN(sp, 1ul << 20);
		t->bad_size = 1ul << 20;
	}
	ft_unlock(lock);
	return err;
}

void ftrace_shadow_thread_gone(struct ftrace_thread *t)
{
	if (!nranges || !take_lock())
		return;
	for (u32 i = 0; i < nranges; i++) {
		struct range *r = range(i);

		if (r->owner != t)
			continue;
		arch_syscall(SYS_munmap, (long)arch_shadow(r->lo), (long)(r->hi - r->lo),
			     0, 0, 0, 0);
		*r = *range(--nranges);
		i--;
	}
	ft_unlock(lock);
}

void ftrace_shadow_forked(void)
{
	/*
	 * Memory is a copy of the parent's, shadows included, and the calling thread may be deep in
	 * hooked calls: all stays. The states that owned stacks are wiped; nobody owns them now.
	 */
	for (u32 i = 0; i < nranges; i++)
		range(i)->owner = NULL;
}
