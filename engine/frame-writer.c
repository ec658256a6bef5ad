/* SPDX-License-Identifier: MIT */
/* See frame-writer.h. */
#include "frame-writer.h"

#include "arch-site.h"

void frame_put(struct frame_out *o, const void *bytes, size_t len)
{
	if (o->p <= o->end && len <= (size_t)(o->end - o->p))
		ft_memcpy(o->p, bytes, len);
	o->p += len;
}

void frame_put1(struct frame_out *o, unsigned int v)
{
	u8 byte = (u8)v;

	frame_put(o, &byte, 1);
}

void frame_put4(struct frame_out *o, u32 v)
{
	frame_put(o, &v, sizeof(v));
}

void frame_uleb(struct frame_out *o, u64 v)
{
	do {
		frame_put1(o, (v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
}

void frame_sleb(struct frame_out *o, s64 v)
{
	for (; v < -64 || v > 63; v >>= 7)
		frame_put1(o, (u8)(v & 0x7f) | 0x80);
	frame_put1(o, (u8)(v & 0x7f));
}

void frame_end(struct frame_out *o, u8 *entry)
{
	u32 len;

	while ((o->p - entry) % 8)
		frame_put1(o, 0);		/* DW_CFA_nop */
	len = (u32)(o->p - entry - 4);
	if (o->p <= o->end)
		ft_memcpy(entry, &len, sizeof(len));
}

u8 *frame_common(struct frame_out *o, const struct eh_rows *r)
{
	u8 *entry = o->p;

	frame_put4(o, 0);			/* length: below */
	frame_put4(o, 0);			/* a common entry */
	frame_put1(o, 1);			/* version */
	frame_put(o, r->signal ? "zRS" : "zR", r->signal ? 4 : 3);
	frame_uleb(o, 1);			/* its programs advance by bytes here */
	frame_sleb(o, r->data_align);
	frame_put1(o, (u8)r->ra_reg);
	frame_uleb(o, 1);
	frame_put1(o, PE_PCREL | PE_SDATA4);
	frame_put(o, r->common, (size_t)(r->common_end - r->common));
	frame_end(o, entry);
	return entry;
}

void frame_advance(struct frame_walk *w, unsigned int at)
{
	if (at > w->at) {
		frame_put1(w->o, CFA_ADVANCE1);
		frame_put1(w->o, at - w->at);
	}
	w->at = at;
}

/* At copied[next]: its instructions may have pushed something. */
void frame_correct(struct frame_walk *w, unsigned int pushed)
{
	if (pushed == w->pushed)
		return;
	w->pushed = pushed;
	if (w->r->cfa.reg != ARCH_DWARF_SP)
		return;
	frame_put1(w->o, CFA_DEF_CFA_OFFSET);
	frame_uleb(w->o, (u64)w->r->cfa.offset + pushed);
}

/* Up to where the instruction at offset @original begins. */
void frame_go_to(struct frame_walk *w, unsigned int original)
{
	for (; w->next < w->ncopied && w->copied[w->next].original < original; w->next++) {
		const struct ftrace_copied *c = &w->copied[w->next];

		if (c->pushed != w->pushed) {
			frame_advance(w, w->base + c->copy);
			frame_correct(w, c->pushed);
		}
	}
	if (w->next < w->ncopied && original <= w->copied[w->ncopied - 1].original) {
		frame_advance(w, w->base + w->copied[w->next].copy);
		frame_correct(w, 0);
	}
}
