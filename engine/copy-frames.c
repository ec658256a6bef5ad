/* SPDX-License-Identifier: MIT */
/* See copy-frames.h. */
#include "copy-frames.h"

#include "arch.h"
#include "eh-frame.h"
#include "loader.h"
#include "plan.h"
#include "site.h"

enum {
	PE_UDATA4 = 0x03, PE_SDATA4 = 0x0b, PE_PCREL = 0x10, PE_DATAREL = 0x30,
};

#define HDR_SIZE	12u		/* .eh_frame_hdr without its rows */
#define TABLE_SIZE	(HDR_SIZE + FTRACE_CHUNK_SITES * 8u)

static struct ftrace_copies all[FTRACE_MAX_CHUNKS];
static u32 n, nused;

void ftrace_copies_add(unsigned long start, u32 first, void *room)
{
	if (n == ARRAY_SIZE(all))
		return;
	all[n].start = start;
	all[n].end = start + (unsigned long)FTRACE_CHUNK_SITES * FTRACE_COPY_SIZE;
	all[n].first = first;
	all[n].room = room;
	smp_store_release(&n, n + 1);
}

static struct ftrace_copies *find(unsigned long pc)
{
	for (u32 i = 0; i < smp_load_acquire(&n); i++)
		if (pc - all[i].start < all[i].end - all[i].start)
			return &all[i];
	return NULL;
}

void ftrace_copies_used(unsigned long start)
{
	struct ftrace_copies *c = find(start);

	if (!c || c->used)
		return;
	c->used = true;
	smp_store_release(&nused, nused + 1);
}

u32 ftrace_copies_count(void)
{
	return smp_load_acquire(&nused);
}

/* ---- writing ---- */

struct out {
	u8 *p, *end;			/* p may run past end: then nothing was written there */
};

static void put(struct out *o, const void *bytes, size_t len)
{
	if (o->p <= o->end && len <= (size_t)(o->end - o->p))
		ft_memcpy(o->p, bytes, len);
	o->p += len;
}

static void put1(struct out *o, unsigned int v)
{
	u8 byte = (u8)v;

	put(o, &byte, 1);
}

static void put4(struct out *o, u32 v)
{
	put(o, &v, sizeof(v));
}

static void put_uleb(struct out *o, u64 v)
{
	do {
		put1(o, (v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
}

static void put_sleb(struct out *o, s64 v)
{
	for (; v < -64 || v > 63; v >>= 7)
		put1(o, (u8)(v & 0x7f) | 0x80);
	put1(o, (u8)(v & 0x7f));
}

static void end_entry(struct out *o, u8 *entry)
{
	u32 len;

	while ((o->p - entry) % 8)
		put1(o, 0);		/* DW_CFA_nop */
	len = (u32)(o->p - entry - 4);
	if (o->p <= o->end)
		ft_memcpy(entry, &len, sizeof(len));
}

/* What is told apart: entries of functions with the same common entry share one here, too. */
struct common {
	const u8 *original;		/* its program */
	u8 *made;
};

static u8 *put_common(struct out *o, const struct eh_rows *r)
{
	u8 *entry = o->p;

	put4(o, 0);			/* length: below */
	put4(o, 0);			/* a common entry */
	put1(o, 1);			/* version */
	put(o, r->signal ? "zRS" : "zR", r->signal ? 4 : 3);
	put_uleb(o, 1);			/* its programs advance by bytes here */
	put_sleb(o, r->data_align);
	put1(o, (u8)r->ra_reg);
	put_uleb(o, 1);
	put1(o, PE_PCREL | PE_SDATA4);
	put(o, r->common, (size_t)(r->common_end - r->common));
	end_entry(o, entry);
	return entry;
}

/* ---- from the original's program to the copy's ---- */

struct walk {
	struct out *o;
	struct eh_rows *r;
	const struct ftrace_copied *copied;
	u32 ncopied, next;		/* the first that was not gone past */
	unsigned int at;		/* offset in the copy that has been advanced to */
	unsigned int pushed;		/* what the frame's address has been corrected by */
};

static void advance_to(struct walk *w, unsigned int at)
{
	if (at > w->at) {
		put1(w->o, CFA_ADVANCE1);
		put1(w->o, at - w->at);
	}
	w->at = at;
}

/* At copied[next]: its instructions may have pushed something. */
static void correct(struct walk *w, unsigned int pushed)
{
	if (pushed == w->pushed)
		return;
	w->pushed = pushed;
	if (w->r->cfa.reg != ARCH_DWARF_SP)
		return;
	put1(w->o, CFA_DEF_CFA_OFFSET);
	put_uleb(w->o, (u64)w->r->cfa.offset + pushed);
}

/* Up to where the instruction at offset @original begins. */
static void go_to(struct walk *w, unsigned int original)
{
	for (; w->next < w->ncopied && w->copied[w->next].original < original; w->next++) {
		const struct ftrace_copied *c = &w->copied[w->next];

		if (c->pushed != w->pushed) {
			advance_to(w, c->copy);
			correct(w, c->pushed);
		}
	}
	if (w->next < w->ncopied && original <= w->copied[w->ncopied - 1].original) {
		advance_to(w, w->copied[w->next].copy);
		correct(w, 0);
	}
}

/* The entry of one function. False: the original's cannot be used. */
static bool put_function(struct out *o, const struct eh_frame *eh, struct common *common,
			 const struct ftrace_planned *func, const struct ftrace_template *t,
			 unsigned long copy)
{
	u32 i = eh_frame_lower(eh, func->vaddr + 1);
	enum eh_step step;
	struct eh_rows r;
	struct walk w;
	u64 advance, at;
	u8 *entry;

	if (!i || !eh_rows_open(&r, eh, i - 1) || func->vaddr >= r.last)
		return false;
	at = r.from;
	if (common->original != r.common) {
		common->made = put_common(o, &r);
		common->original = r.common;
	}
	w = (struct walk){ o, &r, ftrace_template_copied(t), t->ninsns, 0, 0, 0 };
	entry = o->p;
	put4(o, 0);
	put4(o, (u32)(o->p - common->made));
	put4(o, (u32)(copy - (unsigned long)o->p));
	put4(o, FTRACE_COPY_SIZE);
	put1(o, 0);			/* no augmentation data */
	for (;;) {
		const u8 *from = r.p;

		step = eh_rows_step(&r, &advance);
		if (step == EH_STEP_OTHER) {
			put(o, from, (size_t)(r.p - from));
		} else if (step == EH_STEP_ADVANCE) {
			at += advance;
			if (at > func->vaddr + func->len)
				break;
			if (at > func->vaddr)
				go_to(&w, (unsigned int)(at - func->vaddr));
		} else {
			break;
		}
	}
	go_to(&w, 256);			/* what was pushed up to the end */
	end_entry(o, entry);
	return step != EH_STEP_UNKNOWN;
}

/* The object's unwind table where it is mapped. False: it has none. */
static bool table_in_memory(const struct ftrace_object *obj, struct elf *e, struct eh_frame *eh)
{
	const ElfW(Ehdr) *h = (const ElfW(Ehdr) *)obj->lo;
	const ElfW(Phdr) *ph;

	if (obj->gone || ft_memcmp(h->e_ident, ELFMAG, SELFMAG) ||
	    h->e_phentsize != sizeof(*ph) || h->e_phoff > FT_PAGE_SIZE)
		return false;
	ph = (const ElfW(Phdr) *)(obj->lo + h->e_phoff);
	ft_memset(e, 0, sizeof(*e));
	e->wide = sizeof(long) == 8;
	e->machine = h->e_machine;
	e->type = h->e_type;
	e->phdrs = (const u8 *)ph;
	e->nsegments = h->e_phnum;
	for (u32 i = 0; i < e->nsegments && e->nloads < ELF_MAX_SEGMENTS; i++) {
		if (ph[i].p_type != PT_LOAD || !(ph[i].p_flags & PF_R))
			continue;
		e->load[e->nloads++] = (struct elf_segment){
			.vaddr = ph[i].p_vaddr,
			.size = ph[i].p_filesz,
			.data = (const u8 *)(obj->base + ph[i].p_vaddr),
			.exec = ph[i].p_flags & PF_X,
		};
	}
	eh_frame_open(eh, e);
	return eh->count;
}

static void make(struct ftrace_copies *c)
{
	struct common common = { NULL, NULL };
	struct out o = { c->room + TABLE_SIZE, c->room + FTRACE_COPY_FRAMES_SIZE - 4 };
	u32 rows = 0, eh_frame = TABLE_SIZE - 4;
	const struct ftrace_object *obj = NULL;
	u8 *row = c->room + HDR_SIZE;
	struct eh_frame eh;
	struct elf e;
	size_t size;

	for (u32 i = 0; i < FTRACE_CHUNK_SITES; i++) {
		unsigned long copy = c->start + (unsigned long)i * FTRACE_COPY_SIZE;
		struct dyn_ftrace *site = ftrace_site(c->first + i);
		const struct ftrace_template *t;
		const struct ftrace_planned *func;
		struct common common_before = common;
		u8 *before = o.p;
		u32 numbers[2];

		if (!site)
			continue;
		if (!obj) {
			obj = site->obj;
			if (!table_in_memory(obj, &e, &eh))
				return;
		}
		func = &obj->plan.funcs[ftrace_planned_index(site)];
		t = ftrace_plan_template(&obj->plan, func);
		if (!t || !put_function(&o, &eh, &common, func, t, copy) || o.p > o.end) {
			o.p = before;
			common = common_before;
			continue;
		}
		/* Its own entry is behind a common one that was perhaps made for it. */
		if (common.made != common_before.made) {
			u32 len;

			ft_memcpy(&len, common.made, sizeof(len));
			before = common.made + 4 + len;
		}
		numbers[0] = (u32)(copy - (unsigned long)c->room);
		numbers[1] = (u32)(before - c->room);
		ft_memcpy(row + 8 * rows, numbers, sizeof(numbers));
		rows++;
	}
	if (!rows)
		return;
	ft_memset(o.p, 0, 4);		/* the end of .eh_frame */
	size = (size_t)(o.p + 4 - c->room);
	o.p = c->room;
	o.end = c->room + HDR_SIZE;
	put1(&o, 1);
	put1(&o, PE_PCREL | PE_SDATA4);
	put1(&o, PE_UDATA4);
	put1(&o, PE_DATAREL | PE_SDATA4);
	put4(&o, eh_frame);
	put4(&o, rows);
	c->eh_frame = TABLE_SIZE;
	c->size = size;
}

enum { NOT_MADE, UNDER_WAY, MADE, NONE };
#define PATIENCE	10000000u	/* looks at what another thread makes: some milliseconds */

/* False: there is nothing to be said of them. */
static bool made(struct ftrace_copies *c)
{
	u32 state = NOT_MADE;

	if (__atomic_compare_exchange_n(&c->state, &state, UNDER_WAY, false, __ATOMIC_ACQUIRE,
					__ATOMIC_ACQUIRE)) {
		make(c);
		state = c->size ? MADE : NONE;
		smp_store_release(&c->state, state);
	}
	/* Another thread is at it; or this one is, and a signal handler of its unwinds: not for ever. */
	for (u32 i = 0; state == UNDER_WAY && i < PATIENCE; i++)
		state = smp_load_acquire(&c->state);
	return state == MADE;
}

const struct ftrace_copies *ftrace_copies_find(unsigned long pc)
{
	struct ftrace_copies *c = n ? find(pc) : NULL;

	return c && made(c) ? c : NULL;
}

const struct ftrace_copies *ftrace_copies_number(u32 i)
{
	for (u32 k = 0; k < smp_load_acquire(&n); k++)
		if (READ_ONCE(all[k].used) && made(&all[k]) && !i--)
			return &all[k];
	return NULL;
}
