/* SPDX-License-Identifier: MIT */
/*
 * The regions of stubs that unwinders are told of.
 *
 * Readers are exceptions on any thread and whatever unwinds in a signal handler, so they take no
 * lock: the table only grows, and its count is published last.
 */
#include "unwind.h"

#include "arch.h"
#include "gdb.h"
#include "site.h"

/* Bounds apart from the rest: looking through them touches one cache line in four regions. */
static struct {
	unsigned long start, end;
} bounds[FTRACE_MAX_CHUNKS];
static struct ftrace_unwind_region regions[FTRACE_MAX_CHUNKS];
static u32 nregions;		/* store-release after the region is filled in; never goes down */

u32 ftrace_unwind_count(void)
{
	return smp_load_acquire(&nregions);
}

const struct ftrace_unwind_region *ftrace_unwind_region(u32 i)
{
	return i < smp_load_acquire(&nregions) ? &regions[i] : NULL;
}

const struct ftrace_unwind_region *ftrace_unwind_find(unsigned long pc)
{
	u32 n = smp_load_acquire(&nregions);

	for (u32 i = 0; i < n; i++)
		if (pc - bounds[i].start < bounds[i].end - bounds[i].start)
			return &regions[i];
	return NULL;
}

bool ftrace_unwind_is_stub(unsigned long pc)
{
	const struct ftrace_unwind_region *r = ftrace_unwind_find(pc);

	return r && r->stubs;
}

static int add_region(unsigned long start, size_t len, void *room, size_t size, size_t eh_frame, bool stubs)
{
	struct ftrace_unwind_region *r = &regions[nregions];

	if (nregions == ARRAY_SIZE(regions))
		return ft_log(-ENOSPC, "unwinding: %u regions of stubs: no room for more",
			      nregions);
	r->start = start;
	r->end = start + len;
	r->hdr = room;
	r->eh_frame = (char *)room + eh_frame;
	r->eh_frame_size = size - eh_frame;
	r->stubs = stubs;
	r->phdr[0] = (ElfW(Phdr)){
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_filesz = len,
		.p_memsz = len,
		.p_align = FT_PAGE_SIZE,
	};
	r->phdr[1] = (ElfW(Phdr)){
		.p_type = PT_GNU_EH_FRAME,
		.p_flags = PF_R,
		.p_vaddr = (unsigned long)room - start,
		.p_filesz = eh_frame,
		.p_memsz = eh_frame,
		.p_align = 4,
	};
	bounds[nregions].start = r->start;
	bounds[nregions].end = r->end;
	smp_store_release(&nregions, nregions + 1);

	ftrace_unwind_tell(r);
	return 0;
}

int ftrace_unwind_add_table(unsigned long start, size_t len, void *room, size_t size, size_t eh_frame)
{
	return add_region(start, len, room, size, eh_frame, false);
}

int ftrace_unwind_add_trampolines(unsigned long start, size_t len, void *room, size_t size, size_t eh_frame)
{
	int err = add_region(start, len, room, size, eh_frame, true);

	if (!err)
		ftrace_gdb_add(&regions[nregions - 1]);
	return err;
}

int ftrace_unwind_add(unsigned long start, size_t len, void *room)
{
	size_t eh_frame, size = arch_unwind_table(room, (unsigned long)room, start, len, &eh_frame);
	int err;

	if (!size)
		return ft_log(-ERANGE, "unwinding: table at %p is too far from stubs at %lx",
			      room, start);
	err = add_region(start, len, room, size, eh_frame, true);
	if (err)
		return err;
	regions[nregions - 1].named = true;
	ftrace_gdb_add(&regions[nregions - 1]);
	return 0;
}
