/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch.h"
#include "shadow.h"
#include "thread.h"

/* A stack, or a part of one, with its shadow mapped. */
struct range {
	unsigned long lo, hi;
	/*
	 * The thread whose own stack this is (its thread control block lies in it), NULL: a
	 * coroutine's, a signal stack: such a one may outlive the thread that was seen on it.
	 */
	struct ftrace_thread *owner;
	bool main;		/* the main thread's stack */
	bool gone;		/* of a thread that did not come along over a fork */
};

#define MAX_RANGES	16384u
#define RANGES_PER_PAGE	(FT_PAGE_SIZE / sizeof(struct range))

/* Kept in pages of its own, so that a process with few stacks pays for few. */
static struct range *range_pages[MAX_RANGES / RANGES_PER_PAGE + 1];
static u32 nranges;
static struct ft_mutex *lock;		/* over all of this; see take_lock() */

/*
 * How much around a stack pointer gets its shadow at first. A stack that is used further down gets
 * more, as much again as it has, so that deep ones are not asked about often, and shallow ones
 * (threads by the thousand, core files, locked memory) are not paid for.
 */
#define BELOW	(sizeof(long) == 8 ? 256ul << 10 : 64ul << 10)
#define ABOVE	(sizeof(long) == 8 ? 1ul << 20 : 256ul << 10)
#define MAX_GROWTH	(64ul << 20)	/* of the main stack, from one look to the next */

/* linux/fs.h of 6.11 and later: _IOWR('f', 17, struct procmap_query). */
#define PROCMAP_QUERY_NR(size)	(3ul << 30 | (unsigned long)(size) << 16 | 'f' << 8 | 17)

static struct range *range(u32 i)
{
	return &range_pages[i / RANGES_PER_PAGE][i % RANGES_PER_PAGE];
}

/*
 * The lock is taken with every signal blocked: a handler that interrupted its holder, and came here,
 * would wait for itself, and one that left by longjmp would keep it for good. Where system calls
 * may be forbidden nothing new can be mapped anyway, and only the look-up without the lock is left.
 */
static bool take_lock(u64 *signals)
{
	const u64 all = ~0ull;

	if (ftrace_no_syscalls)
		return false;
	if (!lock) {
		struct ft_mutex *m = ft_wipeonfork(FT_PAGE_SIZE), *none = NULL;

		if (!m)
			return false;
		if (!__atomic_compare_exchange_n(&lock, &none, m, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_RELAXED))
			arch_syscall(SYS_munmap, (long)m, FT_PAGE_SIZE, 0, 0, 0, 0);
	}
	arch_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)signals, sizeof(all), 0, 0);
	ft_lock(lock);
	return true;
}

static void leave_lock(const u64 *signals)
{
	ft_unlock(lock);
	arch_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)signals, 0, sizeof(*signals), 0, 0);
}

/* Odd while ranges are being changed; counts changes. For looking without the lock. */
static u32 changes;

static void change_begin(void)
{
	WRITE_ONCE(changes, changes + 1);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void change_end(void)
{
	smp_store_release(&changes, changes + 1);
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

static int look_at(const struct ft_mapping *m, void *data)
{
	struct maps_search *s = data;

	if (s->sp < m->lo)
		return 1;
	if (s->sp >= m->hi) {
		s->below_end = m->hi;
		return 0;
	}
	s->lo = m->lo;
	s->hi = m->hi;
	s->grows = m->stack;
	return 1;
}

/*
 * Ask for one mapping instead of reading them all (Linux 6.11): with stacks by the thousand that is
 * the difference between microseconds and milliseconds a thread. False: cannot, or none is there.
 */
static bool query_mapping(struct maps_search *s)
{
	char name[16] = "";
	struct {
		u64 size, flags, addr, start, end, vma_flags, page_size, offset, inode;
		u32 dev_major, dev_minor, name_size, build_id_size;
		u64 name_addr, build_id_addr;
	} q = {
		.size = sizeof(q), .addr = s->sp,
		.name_size = sizeof(name), .name_addr = (unsigned long)name,
	};
	int fd = ft_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	long err;

	if (fd < 0)
		return false;
	err = arch_syscall(SYS_ioctl, fd, PROCMAP_QUERY_NR(sizeof(q)), (long)&q, 0, 0, 0);
	ft_close(fd);
	if (err)
		return false;
	s->lo = q.start;
	s->hi = q.end;
	s->grows = !ft_strcmp(name, "[stack]");
	/* How far down it may grow is not worth another question: shadow is mapped as it is needed. */
	if (s->grows)
		s->below_end = q.start > MAX_GROWTH ? q.start - MAX_GROWTH : 0;
	return true;
}

/*
 * The part of the address space whose shadow is wanted for a stack pointer of @sp; @floor: where its
 * stack ends below. True: it is the main thread's.
 */
static bool wanted(unsigned long sp, unsigned long *lo, unsigned long *hi, unsigned long *floor)
{
	struct maps_search s = { .sp = sp };

	if (!query_mapping(&s))
		ft_for_each_mapping(look_at, &s);
	if (!s.hi) {			/* no /proc: a guess */
		s.lo = sp - BELOW;
		s.hi = sp + ABOVE / 4;
	} else if (s.grows) {
		s.lo = s.below_end;	/* the main stack grows down to there if it must */
	}
	*floor = ALIGN_UP(s.lo, FT_PAGE_SIZE);
	if (sp - s.lo > BELOW)
		s.lo = sp - BELOW;
	if (s.hi - sp > ABOVE)
		s.hi = sp + ABOVE;
	*lo = ALIGN_DOWN(s.lo, FT_PAGE_SIZE);
	*hi = ALIGN_UP(s.hi, FT_PAGE_SIZE);
	return s.grows;
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
	change_begin();
	*out = range(nranges);
	(*out)->lo = lo;
	(*out)->hi = hi;
	(*out)->owner = NULL;
	(*out)->main = false;
	(*out)->gone = false;
	nranges++;
	change_end();
	return 0;
}

static int enter_locked(struct ftrace_thread *t, unsigned long sp, struct range **out)
{
	struct range *above = NULL;
	unsigned long lo, hi, floor, more;
	bool main_stack;
	int err;

	*out = find_range(sp);
	if (*out)
		return 0;
	main_stack = wanted(sp, &lo, &hi, &floor);
	/* What is mapped already stays: take what is left around sp. */
	for (u32 i = 0; i < nranges; i++) {
		struct range *r = range(i);

		if (r->hi <= sp && r->hi > lo)
			lo = r->hi;
		if (r->lo > sp && r->lo <= hi) {
			hi = r->lo;
			above = r;
		}
	}
	if (!above) {
		err = ftrace_shadow_map(lo, hi);
		if (!err)
			err = add_range(lo, hi, out);
		if (!err)
			(*out)->main = main_stack;
		return err;
	}
	/* The same stack, further down: as much again, if nothing is in the way. */
	more = above->hi - above->lo;
	if (hi - floor < more)
		more = hi - floor;
	if (hi - lo < more && ftrace_shadow_map(hi - more, hi) == 0) {
		lo = hi - more;
	} else {
		err = ftrace_shadow_map(lo, hi);
		if (err)
			return err;
	}
	change_begin();
	above->lo = lo;
	change_end();
	*out = above;
	return 0;
}

/* Never lo of one stack with the size of another, for a handler's fast path. */
static void set_current(struct ftrace_thread *t, unsigned long lo, unsigned long hi, bool own)
{
	WRITE_ONCE(t->stack_size, 0);
	barrier();
	t->stack_own = own;
	WRITE_ONCE(t->top, FTRACE_TOP_NONE);
	/* A slot's word below it is used, too. */
	WRITE_ONCE(t->stack_lo, lo + sizeof(long));
	barrier();
	WRITE_ONCE(t->stack_size, hi - lo - sizeof(long));
}

/*
 * The usual case of programs that switch stacks: a stack seen before. Without the lock; false when
 * it is not found, was changed meanwhile, or its owner is to be noted.
 */
static bool enter_known(struct ftrace_thread *t, unsigned long sp, unsigned long tcb)
{
	u32 before = smp_load_acquire(&changes);
	unsigned long lo, hi;
	struct range *r;
	bool own;

	if (before & 1)
		return false;
	r = find_range(sp);
	if (!r)
		return false;
	lo = READ_ONCE(r->lo);
	hi = READ_ONCE(r->hi);
	own = r->main || READ_ONCE(r->owner) == t;
	if (tcb - lo < hi - lo && READ_ONCE(r->owner) != t && !ftrace_no_syscalls)
		return false;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (READ_ONCE(changes) != before || sp - lo >= hi - lo)
		return false;
	set_current(t, lo, hi, own);
	return true;
}

int ftrace_shadow_enter(struct ftrace_thread *t, unsigned long sp)
{
	unsigned long tcb = (unsigned long)__builtin_thread_pointer();
	struct range *r;
	u64 signals;
	int err;

	/* The word below a slot is used, too, and a slot may be a page's first word. */
	sp -= sizeof(long);
	if (sp - t->bad_lo < t->bad_size)
		return -ENOMEM;
	if (enter_known(t, sp, tcb))
		return 0;
	if (!take_lock(&signals))
		return -EPERM;
	err = enter_locked(t, sp, &r);
	if (!err) {
		if (tcb - r->lo < r->hi - r->lo)
			r->owner = t;
		r->gone = false;
		set_current(t, r->lo, r->hi, r->main || r->owner == t);
	} else {
		t->bad_lo = ALIGN_DOWN(sp, 1ul << 20);
		t->bad_size = 1ul << 20;
	}
	leave_lock(&signals);
	return err;
}

void ftrace_shadow_thread_gone(struct ftrace_thread *t)
{
	u64 signals;

	if (!nranges || !take_lock(&signals))
		return;
	change_begin();
	for (u32 i = 0; i < nranges; i++) {
		struct range *r = range(i);

		if (r->owner != t)
			continue;
		ftrace_shadow_unmap(r->lo, r->hi);
		*r = *range(--nranges);
		i--;
	}
	change_end();
	leave_lock(&signals);
}

void ftrace_shadow_for_each_foreign(void (*func)(unsigned long lo, unsigned long hi, void *data),
				    void *data)
{
	for (u32 i = 0; i < nranges; i++)
		if (!range(i)->owner && !range(i)->main && !range(i)->gone)
			func(range(i)->lo, range(i)->hi, data);
}

void ftrace_shadow_forked(void)
{
	/*
	 * Memory is a copy of the parent's, shadows included, and the calling thread may be deep in
	 * hooked calls: all stays. The states that owned stacks are wiped; nobody owns them now.
	 */
	for (u32 i = 0; i < nranges; i++) {
		range(i)->gone |= range(i)->owner != NULL;
		range(i)->owner = NULL;
	}
	changes &= ~1u;		/* another thread of the parent may have been changing ranges */
}
