/* SPDX-License-Identifier: MIT */
/*
 * Writing call frame information for instructions that run elsewhere, out of what the object's unwind table says of
 * them: copies of moved instructions (copy-frames.c), detours of probes (detour-frames.c).
 */
#ifndef FTRACE_ENGINE_FRAME_WRITER_H
#define FTRACE_ENGINE_FRAME_WRITER_H

#include "eh-frame.h"
#include "plan.h"

enum {
	PE_UDATA4 = 0x03, PE_SDATA4 = 0x0b, PE_PCREL = 0x10, PE_DATAREL = 0x30,
};

struct frame_out {
	u8 *p, *end;			/* p may run past end: then nothing was written there */
};

void frame_put(struct frame_out *o, const void *bytes, size_t len);
void frame_put1(struct frame_out *o, unsigned int v);
void frame_put4(struct frame_out *o, u32 v);
void frame_uleb(struct frame_out *o, u64 v);
void frame_sleb(struct frame_out *o, s64 v);

/* The length of @entry, which ends here, padded to 8. */
void frame_end(struct frame_out *o, u8 *entry);

/* The common entry of @r; its address. */
u8 *frame_common(struct frame_out *o, const struct eh_rows *r);

/* From the original's program to the copy's. */
struct frame_walk {
	struct frame_out *o;
	struct eh_rows *r;
	const struct ftrace_copied *copied;
	u32 ncopied, next;		/* the first that was not gone past */
	unsigned int base;		/* where the copy begins */
	unsigned int at;		/* offset that has been advanced to */
	unsigned int pushed;		/* what the frame's address has been corrected by */
};

void frame_advance(struct frame_walk *w, unsigned int at);

/* From here on @pushed bytes have been pushed. */
void frame_correct(struct frame_walk *w, unsigned int pushed);

/* Up to where the instruction at offset @original begins. */
void frame_go_to(struct frame_walk *w, unsigned int original);

#endif /* FTRACE_ENGINE_FRAME_WRITER_H */
