/* SPDX-License-Identifier: MIT */
/*
 * Memory for the in-process code: size classes over mmap.
 *
 * Every path is safe in a signal handler that interrupted any other, and in a child of fork whose
 * parent had other threads in here: new memory is cut from a region by one atomic addition; freed blocks go on
 * their class's list by one compare-and-exchange; only taking from such a list needs to be alone
 * (so that a block cannot come back under the one who looks at it), and who cannot be alone at
 * once cuts new memory instead of waiting.
 */
#include <linux/mman.h>

#include "base.h"

#define REGION_SIZE	(256ul << 10)
#define MIN_SHIFT	4			/* the smallest class: 16 bytes */
#define NCLASSES	(2 * (8 * sizeof(long) - MIN_SHIFT))
#define LARGE		(REGION_SIZE / 4)	/* from here on a mapping of its own */

struct region {
	size_t used;		/* may run past size: then nothing fits any more */
	size_t size;		/* header included */
};

struct free_block {
	struct free_block *next;
};

static struct region *current_region;
static struct free_block *free_blocks[NCLASSES];
static u32 *popping;	/* somebody takes from a list; in memory a fork wipes if it can be had */

void *ft_mmap(void *addr, size_t len, int prot, int flags, int fd, u64 off)
{
	return (void *)arch_mmap(addr, len, prot, flags, fd, off);
}

static void *map(size_t len)
{
	void *p = ft_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return ft_is_err(p) ? NULL : p;
}

/* Two classes a power of two: 16, 24 (unused: not 16-aligned), 32, 48, 64, 96, 128, ... */
static unsigned int class_of(size_t size, size_t *rounded)
{
	unsigned int shift;

	if (size <= 1ul << MIN_SHIFT) {
		*rounded = 1ul << MIN_SHIFT;
		return 0;
	}
	shift = 8 * sizeof(long) - 1 - (unsigned int)__builtin_clzl(size - 1);
	/* size is in (1 << shift, 2 << shift] */
	if (shift > MIN_SHIFT && size <= 3ul << (shift - 1)) {
		*rounded = 3ul << (shift - 1);
		return 2 * (shift - MIN_SHIFT) + 1;
	}
	*rounded = 2ul << shift;
	return 2 * (shift + 1 - MIN_SHIFT);
}

/*
 * The lock's own page is made at the first free. A child of fork finds it unheld; where the
 * kernel cannot wipe, a child that was unlucky merely never reuses blocks.
 */
static bool pop_begin(void)
{
	static u32 fallback;
	u32 *lock = smp_load_acquire(&popping), *none = NULL, unheld = 0;

	if (!lock) {
		lock = ft_wipeonfork(FT_PAGE_SIZE);
		if (!lock)
			lock = &fallback;
		/* A page that lost the race stays: once in a process's life. */
		if (!__atomic_compare_exchange_n(&popping, &none, lock, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE))
			lock = none;
	}
	return __atomic_compare_exchange_n(lock, &unheld, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static void *pop(unsigned int class)
{
	struct free_block *b;

	if (!READ_ONCE(free_blocks[class]) || !pop_begin())
		return NULL;
	b = smp_load_acquire(&free_blocks[class]);
	/* Others only push: while b is the head, b->next is what follows it. */
	while (b && !__atomic_compare_exchange_n(&free_blocks[class], &b, b->next, false,
						 __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
		;
	smp_store_release(popping, 0);
	return b;
}

static void *cut(size_t size)
{
	size_t want = REGION_SIZE;

	for (;;) {
		struct region *r = smp_load_acquire(&current_region), *fresh;

		/* The first test keeps used from wrapping, however often nothing fits. */
		if (r && READ_ONCE(r->used) <= r->size) {
			size_t at = __atomic_fetch_add(&r->used, size, __ATOMIC_RELAXED);

			if (at <= r->size && size <= r->size - at)
				return (char *)r + at;
		}
		fresh = map(want);
		if (!fresh) {
			/* Little is left (RLIMIT_AS): no more than what is asked for. */
			size_t least = ALIGN_UP(size + ALIGN_UP(sizeof(*r), 16), FT_PAGE_SIZE);

			if (want == least)
				return NULL;
			want = least;
			continue;
		}
		fresh->size = want;
		fresh->used = ALIGN_UP(sizeof(*fresh), 16);
		if (!__atomic_compare_exchange_n(&current_region, &r, fresh, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			arch_syscall(SYS_munmap, (long)fresh, (long)want, 0, 0, 0, 0);
	}
}

void *ft_alloc(size_t size)
{
	unsigned int class;
	void *p;

	if (size > SIZE_MAX / 4)
		return NULL;
	class = class_of(size, &size);
	p = pop(class);
	if (p)
		return ft_memset(p, 0, size);
	return size >= LARGE ? map(ALIGN_UP(size, FT_PAGE_SIZE)) : cut(size);
}

void ft_free(void *p, size_t size)
{
	struct free_block *b = p;
	unsigned int class;

	if (!p)
		return;
	class = class_of(size, &size);
	b->next = READ_ONCE(free_blocks[class]);
	while (!__atomic_compare_exchange_n(&free_blocks[class], &b->next, b, false,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}
