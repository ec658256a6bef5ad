/* SPDX-License-Identifier: MIT */
/*
 * What may be a function's entry: every address with a function symbol, once, and the beginnings in
 * the unwind table that have none.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/entry-only.h"
#include "engine/scratch.h"
#include "planner/internal.h"

static int add(struct planner *p, u64 addr, u64 size, const struct func_symbol *sym)
{
	struct ftrace_found c = { .vaddr = addr, .entry = addr, .size = size,
				  .form = FTRACE_FORM_MOVED, .len = 1 };

	if (sym)
		c.name = sym->name;
	else
		c.flags = FTRACE_FOUND_NAMELESS;
	return finder_add(&p->finder, &c);
}

/* Bytes of the unwind entry that begins at @addr; 0: none does. */
static u64 unwind_size(const struct eh_frame *eh, u64 addr)
{
	u32 i = eh_frame_lower(eh, addr);

	return i < eh->count && eh_frame_start(eh, i) == addr ? eh_frame_size(eh, i) : 0;
}

/* One candidate for the symbols from *@i on that name one address; *@i becomes the next one's. */
static int add_symbols(struct planner *p, u32 *i)
{
	struct symbols *s = &p->finder.symbols;
	u64 addr = s->sym[*i].addr, size = 0;
	const struct func_symbol *best = symbols_best(s, addr);
	bool entry_only = false;
	int ret;

	if (!planner_region(p, addr))
		best = NULL;
	for (; *i < s->n && s->sym[*i].addr == addr; ++*i) {
		const struct func_symbol *sym = &s->sym[*i];

		/* The unwinder's names decide whichever is shown. */
		if (best && never_traced(sym->name, symbols_name_length(sym->name)))
			best = sym;
		entry_only |= entry_only_name(sym->name, symbols_name_length(sym->name));
		if (sym->size > size)
			size = sym->size;
	}
	if (!best)
		return 0;
	if (!size)
		size = unwind_size(&p->finder.eh, addr);
	ret = add(p, addr, size, best);
	if (!ret && entry_only)
		p->finder.found[p->finder.n - 1].flags |= FTRACE_FOUND_ENTRY_ONLY;
	return ret;
}

/* Symbols without a size, and no unwind entry of their own: up to whatever comes next. */
static void guess_sizes(struct planner *p)
{
	struct finder *f = &p->finder;
	u32 i;

	for (i = 0; i < f->n; i++) {
		struct ftrace_found *c = &f->found[i];
		struct region *r = planner_region(p, c->vaddr);
		u64 room = r->vaddr + r->size - c->vaddr;

		if (!c->size)
			c->size = i + 1 < f->n && f->found[i + 1].vaddr - c->vaddr < room ?
				  f->found[i + 1].vaddr - c->vaddr : room;
		if (c->size > room)
			c->size = room;
	}
}

int candidates_find(struct planner *p)
{
	struct finder *f = &p->finder;
	u32 i = 0, fde = 0;
	int ret = 0;

	while (!ret && (i < f->symbols.n || fde < f->eh.count)) {
		u64 start = fde < f->eh.count ? eh_frame_start(&f->eh, fde) : ~0ull;

		if (i < f->symbols.n && f->symbols.sym[i].addr <= start) {
			if (f->symbols.sym[i].addr == start)
				fde++;
			ret = add_symbols(p, &i);
			continue;
		}
		/* The table is sorted, or it is damaged. */
		if ((!f->n || f->found[f->n - 1].vaddr < start) && planner_region(p, start))
			ret = add(p, start, eh_frame_size(&f->eh, fde), NULL);
		fde++;
	}
	if (ret)
		return ret;
	/* A damaged table may have brought them out of order. */
	ret = ft_sort(f->found, f->n, sizeof(*f->found));
	if (!ret)
		guess_sizes(p);
	return ret;
}
