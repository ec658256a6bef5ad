/* SPDX-License-Identifier: MIT */
/* See trampoline.h. */
#include "trampoline.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch.h"
#include "chunk.h"
#include "ops.h"
#include "perfmap.h"
#include "site.h"
#include "text.h"
#include "thunk.h"
#include "unwind.h"

#ifdef ARCH_HAS_TRAMPOLINES

/* One takes 4 us, the first time that it is wanted; all of them, with their thunks, 1 MiB. */
#define MAX_TRAMPOLINES	2048u

/* Of a chunk. None crosses a page: what unwinders need follows from where in its page a pc is. */
#define PAGES		20u
#define IN_PAGE		(FT_PAGE_SIZE / ARCH_TRAMPOLINE_SIZE)
#define SLOTS		(PAGES * IN_PAGE)
#define CODE_SIZE	(PAGES * FT_PAGE_SIZE)

/* Their code, and in the page behind it their call frame information. Never freed: sites come back, and threads are in it. */
struct trampoline_chunk {
	struct trampoline_chunk *next;
	unsigned long start;
	u32 used;
};

static struct trampoline_chunk *chunks;
static const struct dyn_ftrace *sites_of[MAX_TRAMPOLINES];
static u32 ntrampolines;

/* Each object's thunks take a region of those that there may be; the others are for objects that come. */
static bool regions_are_scarce(void)
{
	return smp_load_acquire(&ftrace_regions[FTRACE_MAX_REGIONS / 4].size);
}

u32 ftrace_trampolines_left(void)
{
	return regions_are_scarce() ? 0 : MAX_TRAMPOLINES - ntrampolines;
}

unsigned long ftrace_trampoline_of(const struct dyn_ftrace *site)
{
	const struct ftrace_thunk *thunk = ftrace_thunk_of(site);

	return thunk && thunk->has_trampoline ? thunk->trampoline + ARCH_TRAMPOLINE_ENTRY : 0;
}

bool ftrace_trampoline_range(const struct dyn_ftrace *site, unsigned long *lo, unsigned long *hi)
{
	if (!ftrace_trampoline_of(site))
		return false;
	*lo = ftrace_thunk_of(site)->trampoline;
	*hi = *lo + ARCH_TRAMPOLINE_SIZE;
	return true;
}

const struct dyn_ftrace *ftrace_trampoline_site(u32 i)
{
	return i < smp_load_acquire(&ntrampolines) ? sites_of[i] : NULL;
}

bool ftrace_in_trampoline(unsigned long pc)
{
	for (struct trampoline_chunk *c = smp_load_acquire(&chunks); c; c = c->next)
		if (pc - c->start < CODE_SIZE)
			return true;
	return false;
}

static struct trampoline_chunk *new_chunk(const struct ftrace_object *obj)
{
	struct trampoline_chunk *c = ft_alloc(sizeof(*c));
	char *p = c ? ftrace_map_near(obj->lo, obj->hi, CODE_SIZE + FT_PAGE_SIZE) : NULL;
	size_t size, eh_frame;
	u8 *frames;

	if (!p || ft_is_err(p))
		goto fail;
	frames = (u8 *)p + CODE_SIZE;
	if (ft_is_err(ft_mmap(frames, FT_PAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)))
		goto fail_unmap;
	size = arch_trampoline_table(frames, (unsigned long)p, CODE_SIZE, &eh_frame);
	/* Without that a callback's callers would not be known, as they are behind a stub. */
	if (!size || ftrace_unwind_add_trampolines((unsigned long)p, CODE_SIZE, frames, size, eh_frame))
		goto fail_unmap;
	c->start = (unsigned long)p;
	c->next = chunks;
	smp_store_release(&chunks, c);
	return c;

fail_unmap:
	arch_syscall(SYS_munmap, (long)p, (long)(CODE_SIZE + FT_PAGE_SIZE), 0, 0, 0, 0);
fail:
	if (c)
		ft_free(c, sizeof(*c));
	return NULL;
}

/* A chunk for one more of @obj. */
static struct trampoline_chunk *get_chunk(const struct ftrace_object *obj)
{
	struct trampoline_chunk *c = chunks;

	while (c && (!ftrace_is_near(c->start, CODE_SIZE, obj->lo, obj->hi) || c->used == SLOTS))
		c = c->next;
	return c ? c : new_chunk(obj);
}

/* @site's thunk leads elsewhere: nobody is in what is written. */
static int make(struct dyn_ftrace *site, struct ftrace_text *text)
{
	struct ftrace_thunk *thunk = ftrace_thunk_of(site);
	struct trampoline_chunk *c = NULL;
	u8 code[ARCH_TRAMPOLINE_SIZE];
	unsigned long at;
	int err;

	if (!thunk)
		return -ENOENT;
	at = thunk->trampoline;
	if (!at) {
		if (ntrampolines == MAX_TRAMPOLINES)
			return -ENOSPC;
		c = get_chunk(site->obj);
		if (!c)
			return -ENOMEM;
		at = c->start + c->used / IN_PAGE * FT_PAGE_SIZE + c->used % IN_PAGE * ARCH_TRAMPOLINE_SIZE;
	}
	err = arch_trampoline_write(code, site, at, ftrace_stub(site->id));
	if (!err)
		err = ftrace_text_write(text, at, code, sizeof(code));
	if (err)
		return err;
	if (c) {
		c->used++;
		thunk->trampoline = at;
		sites_of[ntrampolines] = site;
		smp_store_release(&ntrampolines, ntrampolines + 1);
	}
	thunk->has_trampoline = true;
	return 0;
}

void ftrace_trampolines_make(struct dyn_ftrace **sites, u32 n)
{
	struct dyn_ftrace **without = ft_alloc(n * sizeof(*without));
	struct ftrace_text text;
	u32 nwithout = 0;

	if (!without)
		return;
	for (u32 i = 0; i < n; i++)
		if (!ftrace_thunk_of(sites[i]))
			without[nwithout++] = sites[i];
	if (nwithout)
		ftrace_thunks_make(without, nwithout);
	ft_free(without, n * sizeof(*without));
	ftrace_text_open(&text);
	/* Who gets none goes by the stub, which is no failure. */
	for (u32 i = 0; i < n; i++)
		make(sites[i], &text);
	ftrace_text_close(&text);
	arch_poke_sync();
	ftrace_perf_map_update();
}

#else

u32 ftrace_trampolines_left(void)
{
	return 0;
}

unsigned long ftrace_trampoline_of(const struct dyn_ftrace *site)
{
	return 0;
}

bool ftrace_trampoline_range(const struct dyn_ftrace *site, unsigned long *lo, unsigned long *hi)
{
	return false;
}

const struct dyn_ftrace *ftrace_trampoline_site(u32 i)
{
	return NULL;
}

bool ftrace_in_trampoline(unsigned long pc)
{
	return false;
}

void ftrace_trampolines_make(struct dyn_ftrace **sites, u32 n)
{
}

#endif
