/* SPDX-License-Identifier: MIT */
/*
 * The text decoded once: from every place where something is known to begin, straight on to the
 * next. Where that goes wrong (data between functions), it is set right at the next beginning;
 * where a branch leads into the middle of what was taken for an instruction, it is decoded from
 * there as well. What is between functions is decoded too: there may be code that no table knows,
 * and a branch too many only costs a function.
 */
#include <stdlib.h>
#include <string.h>

#include "planner/internal.h"

/* How far from a function's entry a look is taken at what happens to the flags it was called with. */
#define FLAGS_INSNS 16

struct region *planner_region(struct planner *p, u64 addr)
{
	struct region *r = &p->region[p->last_region];
	u32 i;

	if (likely(p->nregions && addr - r->vaddr < r->size))
		return r;
	for (i = 0; i < p->nregions; i++) {
		r = &p->region[i];
		if (addr - r->vaddr < r->size) {
			p->last_region = i;
			return r;
		}
	}
	return NULL;
}

void planner_mark(struct planner *p, u64 addr, u8 marks)
{
	struct region *r = planner_region(p, addr);

	if (r)
		r->marks[addr - r->vaddr] |= marks;
}

void *planner_grow(void *array, size_t n, size_t *capacity, size_t size)
{
	size_t wanted = *capacity ? *capacity * 2 : 1024;
	void *fresh;

	if (n < *capacity)
		return array;
	fresh = reallocarray(array, wanted, size);
	if (fresh)
		*capacity = wanted;
	return fresh;
}

int addresses_add(struct addresses *a, u64 at)
{
	u64 *fresh = planner_grow(a->at, a->n, &a->capacity, sizeof(*fresh));

	if (!fresh)
		return -ENOMEM;
	a->at = fresh;
	a->at[a->n++] = at;
	return 0;
}

u64 addresses_from(const struct addresses *a, u64 at)
{
	size_t lo = 0, hi = a->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (a->at[mid] < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < a->n ? a->at[lo] : ~0ull;
}

/* ---- where things begin ---- */

static void mark_symbols(struct planner *p, const struct elf *e, u32 type)
{
	struct elf_section s;
	struct elf_symtab t;
	struct elf_symbol sym;
	u32 i;

	if (!e->data || !elf_find_type(e, type, &s))
		return;
	elf_symtab(e, &s, &t);
	for (i = 0; i < t.count; i++) {
		elf_symbol(e, &t, i, &sym);
		if (sym.section != SHN_UNDEF && sym.section != SHN_ABS && sym.type != STT_TLS &&
		    sym.type != STT_FILE && sym.type != STT_SECTION)
			planner_mark(p, sym.value, MARK_BEGIN);
	}
}

static void mark_beginnings(struct planner *p)
{
	struct finder *f = &p->finder;
	u32 i;

	for (i = 0; i < f->n; i++)
		planner_mark(p, f->found[i].vaddr, MARK_BEGIN);
	for (i = 0; i < f->eh.count; i++)
		planner_mark(p, eh_frame_start(&f->eh, i), MARK_BEGIN);
	mark_symbols(p, &f->elf, SHT_SYMTAB);
	mark_symbols(p, &f->elf, SHT_DYNSYM);
	mark_symbols(p, &f->symbols.debug, SHT_SYMTAB);
}

/* ---- decoding ---- */

/* The function that is being decoded. */
struct here {
	u32 next;		/* the candidate that comes next */
	u64 lo, hi;		/* the last one; hi may be behind us */
	u16 live;		/* flags that it has not written yet */
	u8 left;		/* instructions until that is no longer of interest */
	u16 computed;		/* registers in which it computes something */
	u16 copied[PROBE_REGS];	/* registers each is copied to */
	size_t first_computed;	/* its first jump by register */
	u64 pc;			/* an address that it has just had from a call ... */
	u8 pc_left;		/* ... and instructions until that is no longer of interest */
};

#define PC_INSNS 4

/*
 * A function ends: which of its jumps go by a register that nothing is computed in? Whatever order
 * the instructions are executed in, then that is a whole word from somewhere.
 */
static void leave(struct planner *p, struct here *h)
{
	unsigned int i, round;
	size_t k;

	for (round = 0; round < 3 && h->first_computed < p->ncomputed; round++)
		for (i = 0; i < PROBE_REGS; i++)
			if (h->computed >> i & 1)
				h->computed |= h->copied[i];
	for (k = h->first_computed; k < p->ncomputed; k++)
		p->computed[k].word = !(h->computed >> p->computed[k].reg & 1);
	h->first_computed = p->ncomputed;
	h->computed = 0;
	memset(h->copied, 0, sizeof(h->copied));
}

/* Does a candidate begin at @addr? Then what follows is its. */
static void enter(struct planner *p, struct here *h, u64 addr)
{
	struct finder *f = &p->finder;

	while (h->next < f->n && f->found[h->next].vaddr < addr)
		h->next++;
	if (h->next == f->n || f->found[h->next].vaddr != addr)
		return;
	leave(p, h);
	h->lo = addr;
	h->hi = addr + f->found[h->next++].size;
	h->live = PROBE_ALL_FLAGS;
	h->left = FLAGS_INSNS;
}

static void watch_flags(struct planner *p, struct here *h, const struct probe_insn *in)
{
	if (in->reads & h->live) {
		planner_mark(p, h->lo, MARK_FLAGS);
		h->left = 0;
		return;
	}
	h->live &= (u16)~in->writes;
	/* Flags that no instruction here is said to write stay in live: @reads has none of them. */
	h->left--;
	if (in->kind != PROBE_PLAIN && in->kind != PROBE_PADDING && in->kind != PROBE_BRANCH)
		h->left = 0;
}

static int add_ref(struct planner *p, u64 from, u64 to, bool takes)
{
	struct ref *fresh = planner_grow(p->refs, p->nrefs, &p->refs_capacity, sizeof(*fresh));

	if (!fresh)
		return -ENOMEM;
	p->refs = fresh;
	p->refs[p->nrefs++] = (struct ref){ from, to, takes };
	return 0;
}

static int add_computed(struct planner *p, const struct here *h, u64 at, u8 reg)
{
	struct computed *fresh = planner_grow(p->computed, p->ncomputed, &p->computed_capacity,
					      sizeof(*fresh));

	if (!fresh)
		return -ENOMEM;
	p->computed = fresh;
	p->computed[p->ncomputed] = (struct computed){ .at = at, .reg = reg };
	if (at < h->hi) {
		p->computed[p->ncomputed].lo = h->lo;
		p->computed[p->ncomputed].hi = h->hi;
	}
	p->ncomputed++;
	return 0;
}

/* A jump from @at to @target. */
static int note_jump(struct planner *p, const struct here *h, u64 at, u64 target)
{
	struct region *r = planner_region(p, target);
	bool own = at < h->hi && target - h->lo < h->hi - h->lo;

	if (!r)
		return 0;
	r->marks[target - r->vaddr] |= MARK_TARGET | (own ? 0 : MARK_JUMPED);
	if (own && target == h->lo)
		r->marks[target - r->vaddr] |= MARK_LOOP;
	return addresses_add(&p->later, target);
}

/* The instruction at @at refers to @addr, or (@takes) takes its address. */
static int note_offset(struct planner *p, u64 at, u64 addr, bool takes)
{
	u64 avail;

	addr = (u32)addr;
	if (planner_region(p, addr)) {
		if (takes)
			planner_mark(p, addr, MARK_TARGET | MARK_TAKEN);
		return 0;
	}
	return elf_at(&p->finder.elf, addr, &avail) ? add_ref(p, at, addr, true) : 0;
}

/*
 * 32-bit code that may be anywhere: what it refers to is at a distance from the global offset table, or from an
 * address that it has had from a call of its next instruction or of a function that tells it.
 */
static int note_offsets(struct planner *p, const struct here *h, u64 at, const struct probe_insn *in)
{
	/* Nobody makes an address of text in the stack pointer: that is where a frame is made. */
	bool takes = in->computes & ~(1u << probe_entry(p->probe)->cfa_reg);
	int ret = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(in->number) && !ret; i++) {
		if (!in->number[i])
			continue;
		if (p->finder.got)
			ret = note_offset(p, at, p->finder.got + in->number[i], true);
		if (!ret && h->pc_left)
			ret = note_offset(p, at, h->pc + in->number[i], takes);
	}
	return ret;
}

/* Does a call of @target tell where it was made? */
static bool tells_pc(struct planner *p, u64 target, u64 behind)
{
	struct region *r = planner_region(p, target);

	return target == behind || (r && probe_is_pc_thunk(p->probe, r->code + (target - r->vaddr),
							   (size_t)(r->vaddr + r->size - target)));
}

static int note(struct planner *p, const struct here *h, u64 at, const struct probe_insn *in)
{
	int ret = 0;

	switch (in->kind) {
	case PROBE_JUMP:
	case PROBE_BRANCH:
		return note_jump(p, h, at, in->target);
	case PROBE_CALL:
		planner_mark(p, in->target, MARK_TARGET | MARK_CALLED);
		return 0;
	case PROBE_JUMP_INDIRECT:
		if (in->jump_reg < PROBE_REGS)
			ret = add_computed(p, h, at, in->jump_reg);
		break;
	default:
		break;
	}
	if (!ret && in->ref) {
		if (in->takes)
			planner_mark(p, in->ref, MARK_TARGET | MARK_TAKEN);
		ret = add_ref(p, at, in->ref, in->takes);
	}
	/* Addresses as numbers: only where the object is not position-independent. */
	if (p->finder.elf.type == ET_EXEC) {
		planner_mark(p, in->number[0], MARK_TARGET | MARK_TAKEN);
		planner_mark(p, in->number[1], MARK_TARGET | MARK_TAKEN);
	}
	if (!ret && !p->finder.elf.wide)
		ret = note_offsets(p, h, at, in);
	return ret;
}

/* The next beginning behind the first of these bytes, or their number. */
static unsigned int until_beginning(const u8 *marks, unsigned int len)
{
	unsigned int i;

	for (i = 1; i < len; i++)
		if (marks[i] & MARK_BEGIN)
			break;
	return i;
}

static int scan_region(struct planner *p, struct region *r, struct here *h)
{
	struct probe_insn in;
	u64 off = 0;
	int ret = 0;

	while (off < r->size && !ret) {
		u64 at = r->vaddr + off;

		if (r->marks[off] & MARK_BEGIN)
			enter(p, h, at);
		if (!probe_decode(p->probe, r->code + off, (size_t)(r->size - off), at, &in)) {
			ret = addresses_add(&p->bad, at);
			h->left = 0;
			off++;
			continue;
		}
		r->marks[off] |= MARK_INSN;
		if (h->left)
			watch_flags(p, h, &in);
		if (in.kind != PROBE_PLAIN || in.ref || in.number[0] || in.number[1])
			ret = note(p, h, at, &in);
		h->pc_left -= h->pc_left > 0;
		if (in.kind == PROBE_CALL && !p->finder.elf.wide && tells_pc(p, in.target, at + in.len)) {
			h->pc = at + in.len;
			h->pc_left = PC_INSNS;
		}
		h->computed |= in.computes;
		if (in.copy_from < PROBE_REGS)
			h->copied[in.copy_from] |= (u16)(1 << in.copy_to);
		off += until_beginning(r->marks + off, in.len);
	}
	return ret;
}

/* Targets that are no instruction's beginning: go on from there until one is met. */
static int scan_later(struct planner *p)
{
	struct probe_insn in;
	size_t i;
	int ret = 0;

	/* The list grows on the way; each byte is decoded from once. */
	for (i = 0; i < p->later.n && !ret; i++) {
		struct region *r = planner_region(p, p->later.at[i]);
		u64 off = p->later.at[i] - r->vaddr;

		while (off < r->size && !(r->marks[off] & MARK_INSN) && !ret) {
			struct here none = { 0 };

			if (!probe_decode(p->probe, r->code + off, (size_t)(r->size - off),
					  r->vaddr + off, &in))
				break;
			r->marks[off] |= MARK_INSN;
			ret = note(p, &none, r->vaddr + off, &in);
			if (in.kind == PROBE_JUMP || in.kind == PROBE_RETURN ||
			    in.kind == PROBE_JUMP_INDIRECT || in.kind == PROBE_STOP)
				break;
			off += in.len;
		}
	}
	return ret;
}

int scan_text(struct planner *p)
{
	struct here h = { 0 };
	u32 i;
	int ret = 0;

	mark_beginnings(p);
	for (i = 0; i < p->nregions && !ret; i++)
		ret = scan_region(p, &p->region[i], &h);
	leave(p, &h);
	return ret ? ret : scan_later(p);
}

void scan_close(struct planner *p)
{
	u32 i;

	for (i = 0; i < p->nregions; i++)
		free(p->region[i].marks);
	free(p->refs);
	free(p->computed);
	free(p->bad.at);
	free(p->unresolved.at);
	free(p->later.at);
}
