/* SPDX-License-Identifier: MIT */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch.h"
#include "chunk.h"
#include "copy-frames.h"
#include "ops.h"
#include "plan.h"
#include "site.h"
#include "text.h"
#include "unwind.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define CHUNK_SIZE	(2ul * FTRACE_CHUNK_CODE)
#define COPIES_SIZE	((unsigned long)FTRACE_CHUNK_SITES * FTRACE_COPY_SIZE)

/*
 * Address of each chunk's stubs; its dyn_ftrace follow at FTRACE_CHUNK_CODE. Site ids count through
 * this array. Id 0 is never given out (a record of it could look like an unwritten slot).
 */
static unsigned long chunks[FTRACE_MAX_CHUNKS];
static unsigned long copies[FTRACE_MAX_CHUNKS];	/* of its sites' moved instructions; 0: none */
static u32 nchunks;

struct ftrace_region ftrace_regions[FTRACE_MAX_REGIONS + 1];
static u32 nregions;

struct dyn_ftrace *ftrace_site(u32 id)
{
	u32 chunk = id / FTRACE_CHUNK_SITES;
	struct dyn_ftrace *sites;

	if (!id || chunk >= smp_load_acquire(&nchunks))
		return NULL;
	sites = (struct dyn_ftrace *)(chunks[chunk] + FTRACE_CHUNK_CODE);
	sites += id % FTRACE_CHUNK_SITES;
	return sites->id ? sites : NULL;
}

u32 ftrace_nsites(void)
{
	return smp_load_acquire(&nchunks) * FTRACE_CHUNK_SITES;
}

unsigned long ftrace_stub(u32 id)
{
	return chunks[id / FTRACE_CHUNK_SITES] +
	       (unsigned long)(id % FTRACE_CHUNK_SITES) * FTRACE_STUB_SIZE;
}

unsigned long ftrace_copy(u32 id)
{
	return copies[id / FTRACE_CHUNK_SITES] +
	       (unsigned long)(id % FTRACE_CHUNK_SITES) * FTRACE_COPY_SIZE;
}

bool ftrace_is_stub_return(unsigned long ip)
{
	ip = ARCH_CODE_ADDRESS(ip);
	if (ip % FTRACE_STUB_SIZE != ARCH_STUB_RET)
		return false;
	for (u32 i = 0; ftrace_regions[i].size; i++)
		if (ip - ftrace_regions[i].lo < ftrace_regions[i].size)
			return true;
	return false;
}

/* Looking for a gap in the address space near an object. */
struct gap_search {
	unsigned long lo, hi;		/* the object */
	size_t size;			/* wanted */
	unsigned long last_end;		/* of the mapping before */
	unsigned long best;		/* the gap's address; 0: none yet */
	unsigned long best_distance;
};

/*
 * Room left above the program's break, for the heap to grow: the space behind an executable is
 * the heap's. A gigabyte; beyond it malloc uses mmap.
 */
#define HEAP_ROOM	(1ul << 30)

static void consider(struct gap_search *s, unsigned long at)
{
	unsigned long reach = arch_site_reach(), distance;

	if (at + s->size <= s->lo)
		distance = s->hi - at;
	else if (at >= s->hi)
		distance = at + s->size - s->lo;
	else
		return;
	if (distance > reach || (s->best && distance >= s->best_distance))
		return;
	s->best = at;
	s->best_distance = distance;
}

static int consider_gap(const struct ft_mapping *m, void *data)
{
	struct gap_search *s = data;
	unsigned long gap_lo, gap_hi;

	gap_lo = s->last_end;
	gap_hi = m->lo;
	/* Below the stack is the stack's. */
	if (m->stack)
		gap_hi = gap_hi > (64ul << 20) ? gap_hi - (64ul << 20) : 0;
	if (gap_hi > gap_lo && gap_hi - gap_lo >= s->size) {
		/* As high in the gap as can be; and, in a gap above the object, as low. */
		consider(s, ALIGN_DOWN(gap_hi - s->size, FT_PAGE_SIZE));
		if (gap_lo >= s->hi)
			consider(s, gap_lo);
		/* A large gap around a distant point still within reach. */
		if (gap_lo >= s->hi && gap_hi - gap_lo > HEAP_ROOM + s->size)
			consider(s, gap_lo + HEAP_ROOM);
	}
	s->last_end = m->heap ? m->hi + HEAP_ROOM : m->hi;
	return 0;
}

void *ftrace_map_near(unsigned long lo, unsigned long hi, size_t size)
{
	struct gap_search s = { .lo = lo, .hi = hi, .size = size, .last_end = 1ul << 20 };
	unsigned long brk = (unsigned long)arch_syscall(SYS_brk, 0, 0, 0, 0, 0, 0);
	unsigned long reach = arch_site_reach(), step, at;
	void *p;
	int err;

	/* The heap may not have begun: its place is behind the break all the same. */
	err = ft_for_each_mapping(consider_gap, &s);
	if (!err && s.best && !(s.best >= brk && s.best - brk < HEAP_ROOM)) {
		p = ft_mmap((void *)s.best, size, PROT_READ | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (p == (void *)s.best)
			return p;
		if (!ft_is_err(p))
			arch_syscall(SYS_munmap, (long)p, (long)size, 0, 0, 0, 0);
	}
	/* No /proc, or somebody was quicker: try addresses, downwards first, then far above. */
	for (step = 1ul << 20; step < reach - (hi - lo) - size; step += 16ul << 20) {
		for (int up = 0; up < 2; up++) {
			if (up && step < HEAP_ROOM)
				continue;
			if (!up && lo < step + size + (1ul << 20))
				continue;
			at = ALIGN_DOWN(up ? hi + step : lo - step - size, FT_PAGE_SIZE);
			p = ft_mmap((void *)at, size, PROT_READ | PROT_EXEC,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
			if (p == (void *)at)
				return p;
			if (!ft_is_err(p))
				arch_syscall(SYS_munmap, (long)p, (long)size, 0, 0, 0, 0);
			else if ((long)p == -ENOMEM)
				return p;
		}
	}
	return (void *)-ENOMEM;
}

int ftrace_chunk_reserve(unsigned long lo, unsigned long hi, u32 nsites, bool moved, u32 *first)
{
	u32 base = nchunks, skip = base ? 0 : 1;	/* id 0 stays unused */
	u32 n = (nsites + skip + FTRACE_CHUNK_SITES - 1) / FTRACE_CHUNK_SITES;
	/* Behind the chunks: their call frame information, that of the copies, the copies. */
	size_t table = ALIGN_UP(ARCH_UNWIND_SIZE(n * FTRACE_CHUNK_SITES), FT_PAGE_SIZE);
	size_t frames = moved ? n * FTRACE_COPY_FRAMES_SIZE : 0;
	size_t size = n * CHUNK_SIZE + table + frames + (moved ? n * COPIES_SIZE : 0);
	char *p, *rw, *room;

	if (base + n > FTRACE_MAX_CHUNKS || nregions == FTRACE_MAX_REGIONS)
		return -ENOSPC;
	p = ftrace_map_near(lo, hi, size);
	if (ft_is_err(p))
		return (int)(long)p;
	for (u32 i = 0; i <= n; i++) {
		/* Data is writable and never executable: mapped anew rather than mprotected, */
		/* which a process that denies write-execute would also allow. */
		bool last = i == n;

		rw = p + i * CHUNK_SIZE + (last ? 0 : FTRACE_CHUNK_CODE);
		rw = ft_mmap(rw, last ? table + frames : FTRACE_CHUNK_CODE,
			     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
			     (i + 1 < n ? MAP_POPULATE : 0), -1, 0);
		if (ft_is_err(rw)) {
			arch_syscall(SYS_munmap, (long)p, (long)size, 0, 0, 0, 0);
			return (int)(long)rw;
		}
	}
	for (u32 i = 0; i < n; i++) {
		chunks[base + i] = (unsigned long)p + i * CHUNK_SIZE;
		if (!moved)
			continue;
		room = p + n * CHUNK_SIZE + table;
		copies[base + i] = (unsigned long)room + frames + i * COPIES_SIZE;
		ftrace_copies_add(copies[base + i], (base + i) * FTRACE_CHUNK_SITES,
				  room + i * FTRACE_COPY_FRAMES_SIZE);
	}
	*first = base * FTRACE_CHUNK_SITES + skip;
	ftrace_regions[nregions].lo = (unsigned long)p;
	smp_store_release(&ftrace_regions[nregions].size, n * CHUNK_SIZE);
	nregions++;
	smp_store_release(&nchunks, base + n);
	/* One entry for all: what it says of a pc depends on its offset in the stub alone. */
	if (ftrace_unwind_add((unsigned long)p, n * CHUNK_SIZE, p + n * CHUNK_SIZE))
		ft_log(0, "unwinding through traced functions will not work");
	return 0;
}

int ftrace_chunk_write_stubs(struct ftrace_text *text, u32 first, u32 nsites)
{
	u8 *buf = ft_alloc(FTRACE_CHUNK_CODE);
	int err = 0;

	if (!buf)
		return -ENOMEM;
	for (u32 id = first; id < first + nsites && !err;) {
		unsigned long at = ftrace_stub(id);
		u32 n = 0;

		while (id + n < first + nsites && (id + n) / FTRACE_CHUNK_SITES ==
		       id / FTRACE_CHUNK_SITES) {
			struct dyn_ftrace *site = (struct dyn_ftrace *)
				(at + n * FTRACE_STUB_SIZE + FTRACE_CHUNK_CODE);

			if (site->id)
				arch_stub_write(buf + n * FTRACE_STUB_SIZE, site,
						at + n * FTRACE_STUB_SIZE);
			else
				ft_memset(buf + n * FTRACE_STUB_SIZE, ARCH_STUB_FILL,
					  FTRACE_STUB_SIZE);
			n++;
		}
		err = ftrace_text_write(text, at, buf, (size_t)n * FTRACE_STUB_SIZE);
		id += n;
	}
	ft_free(buf, FTRACE_CHUNK_CODE);
	return err;
}
