/* SPDX-License-Identifier: MIT */
/*
 * Tail calls of functions whose return address must stay where it is.
 *
 * dlsym(RTLD_NEXT, ...) looks up its caller by its return address; `return dlsym(...)` is a jump, so
 * that address is the tail-calling function's own, and a hook there would change it. So it is with
 * functions that read it themselves, and with their parts that stand elsewhere. Jumps are
 * looked for at every byte: what is no instruction and happens to look like a jump to exactly such a
 * function costs one function its return hook, no more.
 */
#include "finder.h"
#include "recognise.h"

/* The site whose function begins at @entry, NULL: none. */
static struct ftrace_found *site_of(struct finder *f, u64 entry)
{
	u32 lo = 0, hi = f->n;

	while (lo < hi) {	/* the first whose bytes are at or behind entry */
		u32 mid = lo + (hi - lo) / 2;

		if (f->found[mid].vaddr < entry)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->n && f->found[lo].entry <= entry ? &f->found[lo] : NULL;
}

static bool jumps_to_entry_only(struct finder *f, const struct ftrace_found *site)
{
	u64 avail, end = site->entry + site->size, at;
	const u8 *code = elf_code_at(&f->elf, site->entry, &avail);

	if (!code || site->vaddr < site->entry)
		return false;
	if (site->size < avail)
		avail = site->size;
	for (at = arch_next_jump(code, 0, (size_t)avail); at < avail;
	     at = arch_next_jump(code, (size_t)at + 1, (size_t)avail)) {
		const struct ftrace_found *other;
		u64 vaddr = site->entry + at, target;
		enum arch_call kind;

		kind = arch_jump(code + at, (size_t)(avail - at), vaddr, f->got, &target);
		if (kind == ARCH_CALL_NONE ||
		    (kind == ARCH_CALL_DIRECT && target >= site->entry && target < end))
			continue;
		if (finder_callee(f, kind, target) == CALLEE_ENTRY_ONLY)
			return true;
		if (kind != ARCH_CALL_DIRECT)
			continue;
		if (finder_in_reader(f, target))
			return true;
		other = site_of(f, target);
		if (other && other != site && other->entry == target &&
		    (other->flags & FTRACE_FOUND_ENTRY_ONLY))
			return true;
	}
	return false;
}

void finder_mark_tails(struct finder *f)
{
	bool again = true;

	if (!f->callees.entry_only && !f->reading_sites && !f->nreaders)
		return;
	/* Chains of tail calls are short: each round but the last finds one more link. */
	for (unsigned int round = 0; again && round < 8; round++) {
		again = false;
		for (u32 i = 0; i < f->n; i++) {
			struct ftrace_found *site = &f->found[i];

			if (site->form == FTRACE_FORM_NONE ||
			    (site->flags & FTRACE_FOUND_ENTRY_ONLY) ||
			    !jumps_to_entry_only(f, site))
				continue;
			site->flags |= FTRACE_FOUND_ENTRY_ONLY;
			again = true;
		}
	}
}
