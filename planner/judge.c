/* SPDX-License-Identifier: MIT */
/* Which candidates can be moved, and why the others cannot. */
#include "arch-site.h"
#include "planner/internal.h"
#include "recognise.h"

/*
 * The unwind entry that begins at or before @addr: its index; false: none. Its end is for
 * eh_rows_at() to see. Mostly it is the one behind the last that was asked for.
 */
static bool unwind_entry(struct planner *p, u64 addr, u32 *i)
{
	const struct eh_frame *eh = &p->finder.eh;
	u32 k = p->last_unwind + 1;

	if (k < eh->count && eh_frame_start(eh, k) == addr) {
		p->last_unwind = *i = k;
		return true;
	}
	k = eh_frame_lower(eh, addr + 1);
	if (!k)
		return false;
	p->last_unwind = *i = k - 1;
	return true;
}

static const char no_unwind[] =
	"no unwind information: it cannot be told whether it is called like a function";

/* Is the frame at @addr as a call leaves it? */
static const char *check_frame(struct planner *p, u64 addr)
{
	const struct probe_entry *entry = probe_entry(p->probe);
	struct eh_rows rows;
	u32 i;

	/* Old start files do not say so in their unwind information. */
	if (addr == p->finder.elf.entry)
		return "the program's first instructions: nobody has called them";
	if (!unwind_entry(p, addr, &i))
		return no_unwind;
	if (!eh_rows_open(&rows, &p->finder.eh, i))
		return "its unwind information is not understood";
	if (addr >= rows.last)
		return no_unwind;
	if (!eh_rows_at(&rows, addr))
		return "its unwind information is not understood";
	if (rows.signal)
		return "returns from signal handlers";
	if (rows.cfa.reg != entry->cfa_reg || rows.cfa.offset != entry->cfa_offset)
		return "not an entry: by its unwind information there is a frame already";
	if (rows.ra_reg != entry->ra_reg || !rows.ra.saved || rows.ra.offset != entry->ra_offset)
		return "not an entry: by its unwind information it has no return address";
	return NULL;
}

/* Has the frame the same place at @a as at @b? True if it cannot be told. */
static bool same_frame(struct planner *p, u64 a, u64 b)
{
	struct eh_rows rows;
	struct eh_cfa first;
	u32 i, k;

	if (!unwind_entry(p, a, &i) || !unwind_entry(p, b, &k) || i != k ||
	    !eh_rows_open(&rows, &p->finder.eh, i) || !eh_rows_at(&rows, a))
		return true;
	first = rows.cfa;
	if (!eh_rows_at(&rows, b))
		return true;
	return first.reg == EH_NO_REG || rows.cfa.reg == EH_NO_REG ||
	       (first.reg == rows.cfa.reg && first.offset == rows.cfa.offset);
}

static const char *check_branches(struct planner *p, const struct ftrace_found *c,
				  const struct region *r, const struct probe_copy *copy)
{
	u64 off = c->vaddr - r->vaddr, end = c->vaddr + c->size, jump;
	const u8 *marks = r->marks + off;
	unsigned int i;

	for (i = 1; i < copy->moved; i++) {
		if (marks[i] & MARK_BEGIN)
			return "something else begins within its first instructions";
		if (marks[i] & MARK_TARGET)
			return "something branches into its first instructions";
	}
	/* Computed jumps without a table: may one of them lead there? */
	for (jump = addresses_from(&p->unresolved, c->vaddr); jump < end;
	     jump = addresses_from(&p->unresolved, jump + 1))
		for (i = 1; i < copy->moved && c->vaddr + i < jump; i++)
			if (marks[i] & MARK_INSN && same_frame(p, c->vaddr + i, jump))
				return "a computed jump in it may lead into its first instructions";
	return NULL;
}

/*
 * How far before @c there is padding that the jump to its stub can stand over: nops or int3, that
 * nothing branches into. In the jump's place there is one instruction, so that nobody is in its
 * middle, or int3, that nobody is in at all. 0: there is none.
 */
static u8 padding_before(struct planner *p, const struct ftrace_found *c, const struct region *r)
{
	const u64 off = c->vaddr - r->vaddr;
	u64 at = off, next = off, traps = 0;

	while (at > 0 && off - --at <= FTRACE_BEFORE_MAX && c->vaddr - (off - at) >= p->written_end) {
		struct probe_insn in;

		if (!(r->marks[at] & MARK_INSN)) {
			if (r->marks[at])
				return 0;
			continue;
		}
		if (r->marks[at] != MARK_INSN ||
		    !probe_decode(p->probe, r->code + at, (size_t)(next - at), r->vaddr + at, &in) ||
		    in.kind != PROBE_PADDING || at + in.len != next)
			return 0;
		traps = in.trap ? traps + 1 : 0;
		if (in.len >= ARCH_SITE_SIZE || traps == ARCH_SITE_SIZE)
			return (u8)(off - at);
		next = at;
	}
	return 0;
}

/* Where a jump to the stub fits, or a short one to one before the function. */
static const char *find_room(struct planner *p, const struct ftrace_found *c, const struct region *r,
			     struct probe_copy *copy, u8 *before)
{
	u64 off = c->vaddr - r->vaddr;
	const char *why = NULL, *why_short;

	*before = 0;
	if (c->vaddr >= p->written_end) {
		why = probe_move(p->probe, r->code + off, (size_t)(r->size - off), c->size, c->vaddr,
				 ARCH_SITE_SIZE, copy);
		if (!why)
			why = check_branches(p, c, r, copy);
		if (!why)
			return NULL;
	}
	*before = padding_before(p, c, r);
	if (!*before)
		return why ? why : "its bytes belong to the function before it";
	why_short = probe_move(p->probe, r->code + off, (size_t)(r->size - off), c->size, c->vaddr,
			       ARCH_SHORT_SIZE, copy);
	if (!why_short && copy->moved + (u32)ARCH_SITE_SIZE > FTRACE_MOVED_MAX)
		why_short = "its first instructions are too long";
	if (!why_short)
		why_short = check_branches(p, c, r, copy);
	return why_short && why ? why : why_short;
}

/*
 * Assembly without unwind information (GMP's): what is global, has a size, and is not jumped to by
 * others is called. What it does with its return address nobody can tell: entries only.
 */
static bool is_called_by_name(struct planner *p, const struct ftrace_found *c, u8 marks)
{
	const struct func_symbol *sym = c->name ? symbols_best(&p->finder.symbols, c->vaddr) : NULL;

	return sym && sym->rank < SYMBOL_RANK_LOCAL && sym->size && !(marks & MARK_JUMPED);
}

const char *judge(struct planner *p, struct ftrace_found *c, struct probe_copy *copy, u8 *before)
{
	struct region *r = planner_region(p, c->vaddr);
	u64 off = c->vaddr - r->vaddr;
	u8 marks = r->marks[off];
	const char *why;
	u64 slot;

	if (p->object_reason)
		return p->object_reason;
	if (c->name) {
		why = never_traced(c->name, symbols_name_length(c->name));
		if (why)
			return why;
	} else if (p->is_unwinder) {
		return "without a name, in libgcc's unwinder, which walks over its own frames";
	}
	if (probe_is_restorer(r->code + off, (size_t)(r->size - off)))
		return "returns from signal handlers";
	if (probe_is_pc_thunk(p->probe, r->code + off, (size_t)(r->size - off)))
		return "tells its caller where that is (position-independent code)";
	if (!c->name && arch_plt_entry(r->code + off, (size_t)(r->size - off), c->vaddr, 0, &slot))
		return "an entry of the linkage table";
	why = check_frame(p, c->vaddr);
	if (why == no_unwind && is_called_by_name(p, c, marks))
		c->flags |= FTRACE_FOUND_ENTRY_ONLY;
	else if (why)
		return why;
	if (!c->name && !(marks & (MARK_CALLED | MARK_TAKEN)))
		return marks & MARK_TARGET ?
		       "no symbol, and only jumped to: perhaps a part of another function" :
		       "no symbol, and nothing refers to it: perhaps a part of another function";
	if (addresses_from(&p->bad, c->vaddr) - c->vaddr < c->size)
		return "it has bytes that are no instructions";
	if (marks & MARK_LOOP)
		return "it jumps back to its first byte itself";
	if (marks & MARK_FLAGS)
		return "it begins by reading flags";
	why = find_room(p, c, r, copy, before);
	if (!why)
		p->written_end = c->vaddr + copy->moved;
	return why;
}
