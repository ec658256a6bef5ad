/* SPDX-License-Identifier: MIT */
/*
 * Call frame information for detours. The table of a chunk is there from the beginning, with two entries for each detour at
 * a place of their own, so that nothing moves while unwinders look: the part that leads to the copy of all
 * instructions, and the one for post_handlers.
 */
#include "arch.h"
#include "detour.h"
#include "frame-writer.h"
#include "unwind-stack.h"

#ifdef ARCH_HAS_DETOURS

#define HDR_SIZE	12u
#define ROWS		(2 * FTRACE_DETOUR_SLOTS)

static u8 *frame_of(u8 *room, u32 slot)
{
	return room + DETOUR_FRAMES_TABLE + slot * DETOUR_FRAME_SIZE;
}

/* The two entries' addresses, from the common one's. The last takes what is left. */
static void put_rows(u8 *room, unsigned long start, u32 slot, const u8 *first, const u8 *second)
{
	unsigned long code = start + (unsigned long)slot * FTRACE_DETOUR_SIZE;
	u32 row[4] = {
		(u32)(code - (unsigned long)room), (u32)(first - room),
		(u32)(code + ARCH_DETOUR_AGAIN - (unsigned long)room), (u32)(second - room),
	};

	ft_memcpy(room + HDR_SIZE + 16 * slot, row, sizeof(row));
}

static u8 *begin_entry(struct frame_out *o, const u8 *common, unsigned long code, u32 size)
{
	u8 *entry = o->p;

	frame_put4(o, 0);
	frame_put4(o, (u32)(o->p - common));
	frame_put4(o, (u32)(code - (unsigned long)o->p));
	frame_put4(o, size);
	frame_put1(o, 0);		/* no augmentation data */
	return entry;
}

/* As long as its place is. */
static void fill(struct frame_out *o, u8 *entry)
{
	u32 len = (u32)(o->end - entry - 4);

	ft_memset(o->p, 0, (size_t)(o->end - o->p));
	ft_memcpy(entry, &len, sizeof(len));
}

/* Nothing is known of it: as at a function's entry. */
static void put_nothing(u8 *room, unsigned long start, u32 slot)
{
	static const u8 none[] = {
		CFA_DEF_CFA, ARCH_DWARF_SP, sizeof(long), CFA_OFFSET | ARCH_UNWIND_PC, 1,
	};
	struct eh_rows r = { .common = none, .common_end = none + sizeof(none),
			     .data_align = -(s64)sizeof(long), .ra_reg = ARCH_UNWIND_PC };
	u8 *common = frame_of(room, slot), *first, *second;
	struct frame_out o = { common, common + DETOUR_FRAME_SIZE };
	unsigned long code = start + (unsigned long)slot * FTRACE_DETOUR_SIZE;

	frame_common(&o, &r);
	first = begin_entry(&o, common, code, ARCH_DETOUR_AGAIN);
	frame_end(&o, first);
	second = begin_entry(&o, common, code + ARCH_DETOUR_AGAIN,
			     FTRACE_DETOUR_SIZE - ARCH_DETOUR_AGAIN);
	fill(&o, second);
	put_rows(room, start, slot, first, second);
}

void detour_frames_begin(u8 *room, unsigned long start)
{
	struct frame_out o = { room, room + HDR_SIZE };

	frame_put1(&o, 1);
	frame_put1(&o, PE_PCREL | PE_SDATA4);
	frame_put1(&o, PE_UDATA4);
	frame_put1(&o, PE_DATAREL | PE_SDATA4);
	frame_put4(&o, DETOUR_FRAMES_TABLE - 4);
	frame_put4(&o, ROWS);
	for (u32 slot = 0; slot < FTRACE_DETOUR_SLOTS; slot++)
		put_nothing(room, start, slot);
}

/* ---- from the function's program ---- */

struct program {
	struct eh_rows r;
	u64 vaddr, at;
	u64 pending;			/* where the row after the next advance begins, 0: not read */
};

/* Write what of the program is in force at @vaddr. */
static bool up_to(struct frame_out *o, struct program *p)
{
	u64 advance;

	p->at = p->r.from;
	p->pending = 0;
	for (;;) {
		const u8 *from = p->r.p;
		enum eh_step step = eh_rows_step(&p->r, &advance);

		if (step == EH_STEP_OTHER) {
			frame_put(o, from, (size_t)(p->r.p - from));
		} else if (step == EH_STEP_ADVANCE) {
			p->at += advance;
			if (p->at > p->vaddr) {
				p->pending = p->at;
				return true;
			}
		} else {
			return step == EH_STEP_END;
		}
	}
}

/* On with it in the copy of @w, whose first instruction is at @begins, up to where @end is. */
static void through(struct frame_walk *w, struct program *p, u64 begins, u64 end)
{
	u64 advance;

	while (p->pending && p->pending <= end) {
		frame_go_to(w, (unsigned int)(p->pending - begins));
		p->pending = 0;
		for (;;) {
			const u8 *from = p->r.p;
			enum eh_step step = eh_rows_step(&p->r, &advance);

			if (step == EH_STEP_OTHER) {
				frame_put(w->o, from, (size_t)(p->r.p - from));
				continue;
			}
			if (step == EH_STEP_ADVANCE) {
				p->at += advance;
				p->pending = p->at;
			}
			break;
		}
	}
}

static void pushes(struct frame_walk *w, const struct arch_pushed *list, unsigned int base)
{
	for (;; list++) {
		frame_advance(w, list->at - base);
		frame_correct(w, list->bytes);
		if (!list->bytes)
			return;
	}
}

static void begin_copy(struct frame_walk *w, const struct probe_copy *c, unsigned int base)
{
	w->copied = c->copied;
	w->ncopied = c->ninsns;
	w->next = 0;
	w->base = base;
}

static bool put_detour(u8 *room, unsigned long start, u32 slot, const struct program *known,
		       const struct probe_copy *all, const struct probe_copy *first,
		       const struct probe_copy *rest)
{
	u8 *common = frame_of(room, slot), *entry[2];
	struct frame_out o = { common, common + DETOUR_FRAME_SIZE - 16 };
	unsigned long code = start + (unsigned long)slot * FTRACE_DETOUR_SIZE;
	struct program p = *known;
	struct frame_walk w = { .o = &o, .r = &p.r };

	frame_common(&o, &p.r);
	entry[0] = begin_entry(&o, common, code, ARCH_DETOUR_AGAIN);
	if (!up_to(&o, &p))
		return false;
	pushes(&w, arch_detour_before, 0);
	begin_copy(&w, all, ARCH_DETOUR_COPY);
	through(&w, &p, p.vaddr, p.vaddr + all->moved);
	frame_go_to(&w, 256);
	frame_end(&o, entry[0]);

	p = *known;
	w = (struct frame_walk){ .o = &o, .r = &p.r };
	entry[1] = begin_entry(&o, common, code + ARCH_DETOUR_AGAIN,
			       FTRACE_DETOUR_SIZE - ARCH_DETOUR_AGAIN);
	up_to(&o, &p);
	if (first) {
		pushes(&w, arch_detour_again, ARCH_DETOUR_AGAIN);
		begin_copy(&w, first, ARCH_DETOUR_FIRST - ARCH_DETOUR_AGAIN);
		through(&w, &p, p.vaddr, p.vaddr + first->moved);
		pushes(&w, arch_detour_post, ARCH_DETOUR_AGAIN);
		if (rest) {
			begin_copy(&w, rest, ARCH_DETOUR_REST - ARCH_DETOUR_AGAIN);
			through(&w, &p, p.vaddr + first->moved, p.vaddr + first->moved + rest->moved);
			frame_go_to(&w, 256);
		}
	}
	if (o.p > o.end)
		return false;
	o.end += 16;
	fill(&o, entry[1]);
	put_rows(room, start, slot, entry[0], entry[1]);
	return true;
}

void detour_frames_put(u8 *room, unsigned long start, u32 slot, const struct unwind_objects *objects,
		       unsigned long addr, const struct probe_copy *all, const struct probe_copy *first,
		       const struct probe_copy *rest)
{
	const struct unwind_object *object = unwind_object_of(objects, addr);
	struct program p = { .vaddr = object ? addr - object->base : 0 };
	u32 i = object ? eh_frame_lower(&object->table, p.vaddr + 1) : 0;

	if (!i || !eh_rows_open(&p.r, &object->table, i - 1) || p.vaddr >= p.r.last ||
	    !put_detour(room, start, slot, &p, all, first, rest))
		put_nothing(room, start, slot);
}

#endif
