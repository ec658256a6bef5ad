/* SPDX-License-Identifier: MIT */
/*
 * Functions that read their own return address (__builtin_return_address(0)).
 *
 * While a call is hooked, that word holds the address of its stub, so these get no return hook. The
 * unwind table tells where the word is at each instruction, and instructions that read it, or
 * take its address, are looked for at every byte: what is none and happens to look like one that
 * reads exactly there costs one function its return hook, no more.
 */
#include "finder.h"
#include "recognise.h"

/*
 * Does the function of @size bytes at @entry, which unwind entry @i is of? *@budget goes down by the
 * bytes looked at: in an honest file no two functions share any, in one made to be slow all may.
 */
static bool reads_return_address(struct finder *f, u32 i, u64 entry, u64 size, u64 *budget)
{
	u64 avail, at, cost = size;
	const u8 *code = elf_code_at(&f->elf, entry, &avail);
	struct eh_rows rows;
	struct arch_cfa cfa;
	bool open = false, found = false;

	if (!code)
		return false;
	if (size < avail)
		avail = size;
	for (at = arch_next_return_slot(code, 0, (size_t)avail, &cfa); at < avail && !found;
	     at = arch_next_return_slot(code, (size_t)at + 1, (size_t)avail, &cfa)) {
		if (!open) {
			if (!eh_rows_open(&rows, &f->eh, i))
				break;
			cost += (u64)(rows.end - rows.p);
			open = true;
		}
		if (!eh_rows_at(&rows, entry + at))
			break;
		found = rows.cfa.reg == cfa.reg && rows.cfa.offset == cfa.offset;
	}
	*budget = cost < *budget ? *budget - cost : 0;
	return found;
}

/* Where a site ends: some compilers (gcc for s390) let the unwind entry begin behind its nops. */
static u64 site_end(const struct ftrace_found *site)
{
	return site->vaddr + site->len;
}

/*
 * Code that is no site's: parts that the compiler has put elsewhere (.cold), functions that are
 * not instrumented. Who jumps there has it read the return address for him.
 */
static void look_at_others(struct finder *f, u64 *budget)
{
	u32 next = 0;

	for (u32 i = 0; i < f->eh.count && f->nreaders < MAX_READERS && *budget; i++) {
		u64 start = eh_frame_start(&f->eh, i), size;

		while (next < f->n && f->found[next].vaddr < start)
			next++;
		if ((next < f->n && f->found[next].entry <= start) ||
		    (next && site_end(&f->found[next - 1]) == start))
			continue;	/* a site's own */
		size = eh_frame_size(&f->eh, i);
		if (!reads_return_address(f, i, start, size, budget))
			continue;
		f->readers[f->nreaders].start = start;
		f->readers[f->nreaders++].end = start + size;
	}
}

void finder_mark_readers(struct finder *f)
{
	u64 budget = 2 * (u64)f->elf.size;
	u32 unwind = 0;

	if (!f->n || !f->eh.count)
		return;
	for (u32 i = 0; i < f->n && budget; i++) {
		struct ftrace_found *site = &f->found[i];

		while (unwind + 1 < f->eh.count && eh_frame_start(&f->eh, unwind + 1) <= site_end(site))
			unwind++;
		if (site->form == FTRACE_FORM_NONE || (site->flags & FTRACE_FOUND_ENTRY_ONLY) ||
		    !reads_return_address(f, unwind, site->entry, site->size, &budget))
			continue;
		site->flags |= FTRACE_FOUND_ENTRY_ONLY;
		f->reading_sites = true;
	}
	look_at_others(f, &budget);
}

bool finder_in_reader(const struct finder *f, u64 addr)
{
	for (u32 i = 0; i < f->nreaders; i++)
		if (addr - f->readers[i].start < f->readers[i].end - f->readers[i].start)
			return true;
	return false;
}
