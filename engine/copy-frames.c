/* SPDX-License-Identifier: MIT */
/* See copy-frames.h. */
#include "copy-frames.h"

#include "arch.h"
#include "frame-writer.h"
#include "loader.h"
#include "plan.h"
#include "site.h"

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

/* ---- making ---- */

/* What is told apart: entries of functions with the same common entry share one here, too. */
struct common {
	const u8 *original;		/* its program */
	u8 *made;
};

/* The entry of one function. False: the original's cannot be used. */
static bool put_function(struct frame_out *o, const struct eh_frame *eh, struct common *common,
			 const struct ftrace_planned *func, const struct ftrace_template *t,
			 unsigned long copy)
{
	u32 i = eh_frame_lower(eh, func->vaddr + 1);
	enum eh_step step;
	struct eh_rows r;
	struct frame_walk w;
	u64 advance, at;
	u8 *entry;

	if (!i || !eh_rows_open(&r, eh, i - 1) || func->vaddr >= r.last)
		return false;
	at = r.from;
	if (common->original != r.common) {
		common->made = frame_common(o, &r);
		common->original = r.common;
	}
	w = (struct frame_walk){ .o = o, .r = &r, .copied = ftrace_template_copied(t),
				 .ncopied = t->ninsns };
	entry = o->p;
	frame_put4(o, 0);
	frame_put4(o, (u32)(o->p - common->made));
	frame_put4(o, (u32)(copy - (unsigned long)o->p));
	frame_put4(o, FTRACE_COPY_SIZE);
	frame_put1(o, 0);			/* no augmentation data */
	for (;;) {
		const u8 *from = r.p;

		step = eh_rows_step(&r, &advance);
		if (step == EH_STEP_OTHER) {
			frame_put(o, from, (size_t)(r.p - from));
		} else if (step == EH_STEP_ADVANCE) {
			at += advance;
			if (at > func->vaddr + func->len)
				break;
			if (at > func->vaddr)
				frame_go_to(&w, (unsigned int)(at - func->vaddr));
		} else {
			break;
		}
	}
	frame_go_to(&w, 256);			/* what was pushed up to the end */
	frame_end(o, entry);
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
	struct frame_out o = { c->room + TABLE_SIZE, c->room + FTRACE_COPY_FRAMES_SIZE - 4 };
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
		func = ftrace_planned(site);
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
	frame_put1(&o, 1);
	frame_put1(&o, PE_PCREL | PE_SDATA4);
	frame_put1(&o, PE_UDATA4);
	frame_put1(&o, PE_DATAREL | PE_SDATA4);
	frame_put4(&o, eh_frame);
	frame_put4(&o, rows);
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
