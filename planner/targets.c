/* SPDX-License-Identifier: MIT */
/*
 * Where execution may go without a branch that says so: addresses that stand in data (of functions,
 * of labels for `goto *`), and tables of offsets that switches jump by.
 *
 * What counts is only whether a function's first few bytes behind the very first can be a target.
 * For a label's address to get into a register it must stand somewhere: in an instruction (scan.c
 * marks it), in data as a whole word (here: what relocations write, and where nothing is relocated
 * every word), or as a difference to something whose address an instruction takes: then it is a
 * table of 32-bit offsets, from itself (every switch of gcc and clang in position-independent code; 32-bit code's
 * are from the global offset table) or from a label of the same function (&&a - &&b). Every address that is taken is
 * tried as such a table. Jumps by memory, and by a register that the function computes nothing in, take whole
 * words. Other jumps by register for which no table is found in their function may go by computed
 * distances; where the unwind table leaves it open that one of these leads to the function's
 * beginning, judge.c refuses it.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/scratch.h"
#include "planner/internal.h"
#include "recognise.h"

#ifndef SHT_RELR
#define SHT_RELR 19
#endif

#define MAX_TABLE	16384u	/* entries; a switch with more would be no table */
#define BUDGET		64u	/* bytes of tables looked at, in sizes of the file: against files made slow */

/* ---- words ---- */

static void mark_words(struct planner *p, const struct elf_section *s)
{
	const struct elf *e = &p->finder.elf;
	/* Where addresses are low, half a word holds one, too. */
	u32 word = e->type == ET_EXEC ? 4 : elf_word_size(e);
	u64 i;

	for (i = 0; i + word <= s->size; i += word) {
		u64 value = word == 4 ? elf_u32(e, s->data + i) : elf_u64(e, s->data + i);

		if (value)
			planner_mark(p, value, MARK_TARGET | MARK_TAKEN);
	}
}

/* What stands where a relocation without an addend of its own writes. */
static u64 addend_in_place(const struct elf *e, u64 offset)
{
	u64 avail;
	const u8 *data = elf_at(e, offset, &avail);

	return data && avail >= elf_word_size(e) ? elf_word(e, data) : 0;
}

static void mark_relocations(struct planner *p, const struct elf_section *s)
{
	const struct elf *e = &p->finder.elf;
	struct elf_section symsec;
	struct elf_symtab t = { 0 };
	u64 i, n = elf_nrels(e, s);

	if (s->link && s->link < e->nsections) {
		elf_section(e, s->link, &symsec);
		elf_symtab(e, &symsec, &t);
	}
	for (i = 0; i < n; i++) {
		struct elf_symbol sym = { 0 };
		struct elf_rel rel;

		elf_rel(e, s, i, &rel);
		if (s->type == SHT_REL)
			rel.addend = addend_in_place(e, rel.offset);
		/* Whatever its type: an address in text is a function's or a label's. */
		if (rel.sym && rel.sym < t.count)
			elf_symbol(e, &t, rel.sym, &sym);
		if (rel.addend || sym.value)
			planner_mark(p, sym.value + rel.addend, MARK_TARGET | MARK_TAKEN);
	}
}

/* May the section hold addresses that nothing but its own bytes tell? */
static bool holds_words(const struct elf *e, const struct elf_section *s, bool relr)
{
	if (!(s->flags & SHF_ALLOC) || (s->flags & SHF_EXECINSTR) || !s->data)
		return false;
	switch (s->type) {
	case SHT_INIT_ARRAY:
	case SHT_FINI_ARRAY:
	case SHT_PREINIT_ARRAY:
		return true;
	case SHT_PROGBITS:
		break;
	default:
		return false;
	}
	if (!strncmp(s->name, ".eh_frame", 9) || !strcmp(s->name, ".gcc_except_table"))
		return false;
	/* A position-independent object's read-only data is not relocated. */
	return e->type == ET_EXEC || (s->flags & SHF_WRITE) || relr;
}

static void mark_data(struct planner *p)
{
	const struct elf *e = &p->finder.elf;
	struct elf_section s;
	bool relr = elf_find_type(e, SHT_RELR, &s);
	u32 i;

	for (i = 0; i < e->nsections; i++) {
		elf_section(e, i, &s);
		if ((s.type == SHT_RELA || s.type == SHT_REL) && s.flags & SHF_ALLOC)
			mark_relocations(p, &s);
		else if (holds_words(e, &s, relr))
			mark_words(p, &s);
	}
	if (e->nsections)
		return;
	for (i = 0; i < e->nloads; i++) {
		const struct elf_segment *l = &e->load[i];

		if (!l->exec)
			mark_words(p, &(struct elf_section){ .data = l->data, .size = l->size });
	}
}

/* ---- tables of offsets ---- */

struct tables {
	struct planner *p;
	u64 *bounds;		/* everything that is referred to, rising */
	size_t nbounds;
	u64 budget;
};

static bool is_insn(struct planner *p, u64 addr)
{
	struct region *r = planner_region(p, addr);

	return r && r->marks[addr - r->vaddr] & MARK_INSN;
}

static u64 next_bound(const struct tables *t, u64 at)
{
	struct addresses a = { .at = t->bounds, .n = t->nbounds };

	return addresses_from(&a, at + 1);
}

/*
 * Take @table for one of offsets from @base, used by a jump in [@lo, @hi) (0, 0: not known). Up to
 * the next address that anything refers to all that lead into text count; behind that, only what
 * leads to an instruction of the same function. Returns how many lead into that function.
 */
static unsigned int try_table(struct tables *t, u64 table, u64 base, u64 lo, u64 hi)
{
	const struct elf *e = &t->p->finder.elf;
	u64 avail, end = next_bound(t, table), i;
	const u8 *data = elf_at(e, table, &avail);
	unsigned int own = 0;

	if (!data || table & 3)
		return 0;
	for (i = 0; i < MAX_TABLE && 4 * i + 4 <= avail && t->budget; i++, t->budget--) {
		u64 target = base + (u64)(s64)(s32)elf_u32(e, data + 4 * i);
		bool inside = target - lo < hi - lo;

		if (!planner_region(t->p, target))
			break;
		if (table + 4 * i >= end && (!inside || !is_insn(t->p, target)))
			break;
		if (inside || table == base || base == t->p->finder.got)
			planner_mark(t->p, target, MARK_TARGET);
		own += inside;
	}
	return own;
}

/* The first reference from @at or behind it. */
static size_t refs_from(const struct planner *p, u64 at)
{
	size_t lo = 0, hi = p->nrefs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->refs[mid].from < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

#define LOOK_AT	64u

/* Do most of the offsets from @base lead to where an instruction begins? Of those that are from elsewhere few do. */
static bool is_likely(struct tables *t, u64 table, u64 base)
{
	const struct elf *e = &t->p->finder.elf;
	u64 avail, end = next_bound(t, table), i;
	const u8 *data = elf_at(e, table, &avail);
	unsigned int insns = 0;

	if (!data)
		return false;
	for (i = 0; i < LOOK_AT && 4 * i + 4 <= avail && table + 4 * i < end; i++) {
		u64 target = base + (u64)(s64)(s32)elf_u32(e, data + 4 * i);

		if (!planner_region(t->p, target))
			break;
		insns += is_insn(t->p, target);
	}
	return 4 * insns >= 3 * i;
}

/*
 * The same for a table whose address is taken: of offsets from itself or, in 32-bit code, mostly from the global
 * offset table.
 */
static unsigned int try_taken(struct tables *t, u64 table, u64 lo, u64 hi)
{
	const struct finder *f = &t->p->finder;
	unsigned int own = 0;

	if (f->elf.wide || !f->got)
		return try_table(t, table, table, lo, hi);
	if (is_likely(t, table, table))
		own += try_table(t, table, table, lo, hi);
	if (is_likely(t, table, f->got))
		own += try_table(t, table, f->got, lo, hi);
	return own;
}

/* All tables of the function at [@lo, @hi); false: none leads into it. */
static bool function_tables(struct tables *t, u64 lo, u64 hi)
{
	const struct planner *p = t->p;
	size_t first = refs_from(p, lo), i, k;
	unsigned int own = 0;

	for (i = first; i < p->nrefs && p->refs[i].from < hi; i++) {
		const struct ref *table = &p->refs[i];

		if (table->takes)
			own += try_taken(t, table->to, lo, hi);
		if (planner_region(t->p, table->to))
			continue;
		/* &&a - &&b */
		for (k = first; k < p->nrefs && p->refs[k].from < hi && t->budget; k++)
			if (p->refs[k].takes && p->refs[k].to - lo < hi - lo)
				own += try_table(t, table->to, p->refs[k].to, lo, hi);
	}
	return own > 0;
}

static int find_tables(struct tables *t)
{
	struct planner *p = t->p;
	u64 lo = ~0ull;
	bool found = false;
	size_t i;
	int ret = 0;

	for (i = 0; i < p->nrefs && t->budget; i++)
		if (p->refs[i].takes && !planner_region(p, p->refs[i].to))
			try_taken(t, p->refs[i].to, 0, 0);
	for (i = 0; i < p->ncomputed && !ret; i++) {
		const struct computed *c = &p->computed[i];

		if (c->word)
			continue;
		if (c->lo != lo)
			found = c->hi && function_tables(t, c->lo, c->hi);
		lo = c->lo;
		if (!found)
			ret = addresses_add(&p->unresolved, c->at);
	}
	return ret;
}

int targets_find(struct planner *p)
{
	struct tables t = { .p = p, .budget = BUDGET * (u64)p->finder.elf.size };
	size_t i;
	int ret;

	mark_data(p);
	ret = ft_sort(p->refs, p->nrefs, sizeof(*p->refs));
	if (!ret)
		ret = ft_sort(p->computed, p->ncomputed, sizeof(*p->computed));
	if (ret || !p->nrefs)
		return ret;
	t.bounds = malloc(p->nrefs * sizeof(*t.bounds));
	if (!t.bounds)
		return -ENOMEM;
	for (i = 0; i < p->nrefs; i++)
		t.bounds[i] = p->refs[i].to;
	t.nbounds = p->nrefs;
	ret = ft_sort(t.bounds, t.nbounds, sizeof(*t.bounds));
	if (!ret)
		ret = find_tables(&t);
	free(t.bounds);
	return ret;
}
