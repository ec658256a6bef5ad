/* SPDX-License-Identifier: MIT */
/*
 * Where the shadow of a part of a stack is mapped, in the two ways that arch.h describes: at the
 * stack's own addresses with one bit flipped, or anywhere, found through a table of pages.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch.h"
#include "shadow.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define SHADOW_FLAGS	(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

#ifdef ARCH_SHADOW_XOR

/* Where the shadow of the page @lo is: its words may be there in another order. */
static void *shadow_page(unsigned long lo)
{
	return (void *)ALIGN_DOWN((unsigned long)arch_shadow(lo), FT_PAGE_SIZE);
}

int ftrace_shadow_map(unsigned long lo, unsigned long hi)
{
	void *at = shadow_page(lo), *p;

	p = ft_mmap(at, hi - lo, PROT_READ | PROT_WRITE, SHADOW_FLAGS | MAP_FIXED_NOREPLACE, -1, 0);
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

void ftrace_shadow_unmap(unsigned long lo, unsigned long hi)
{
	arch_syscall(SYS_munmap, (long)shadow_page(lo), (long)(hi - lo), 0, 0, 0, 0);
}

#else

unsigned long ftrace_shadow_pages[ARCH_SHADOW_PAGES];

int ftrace_shadow_map(unsigned long lo, unsigned long hi)
{
	size_t size = (hi - lo) * ARCH_SHADOW_WORDS;
	unsigned long at, delta;
	void *p, *other = NULL;

	p = ft_mmap(NULL, size, PROT_READ | PROT_WRITE, SHADOW_FLAGS, -1, 0);
	/* 0 in the table says that there is none. */
	if (!ft_is_err(p) && (unsigned long)p == lo * ARCH_SHADOW_WORDS) {
		other = ft_mmap(NULL, size, PROT_READ | PROT_WRITE, SHADOW_FLAGS, -1, 0);
		arch_syscall(SYS_munmap, (long)p, (long)size, 0, 0, 0, 0);
		p = other;
	}
	if (ft_is_err(p))
		return (int)(long)p;
	arch_syscall(SYS_madvise, (long)p, (long)size, MADV_NOHUGEPAGE, 0, 0, 0);
	delta = (unsigned long)p - lo * ARCH_SHADOW_WORDS;
	for (at = lo; at != hi; at += FT_PAGE_SIZE)
		WRITE_ONCE(ftrace_shadow_pages[at / FT_PAGE_SIZE], delta);
	return 0;
}

void ftrace_shadow_unmap(unsigned long lo, unsigned long hi)
{
	unsigned long at, end;

	/* A stack that has grown has several mappings. */
	for (at = lo; at != hi; at = end) {
		unsigned long delta = ftrace_shadow_pages[at / FT_PAGE_SIZE];

		for (end = at; end != hi && ftrace_shadow_pages[end / FT_PAGE_SIZE] == delta;
		     end += FT_PAGE_SIZE)
			ftrace_shadow_pages[end / FT_PAGE_SIZE] = 0;
		if (delta)
			arch_syscall(SYS_munmap, (long)(delta + at * ARCH_SHADOW_WORDS),
				     (long)((end - at) * ARCH_SHADOW_WORDS), 0, 0, 0, 0);
	}
}

#endif
