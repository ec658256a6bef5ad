/* SPDX-License-Identifier: MIT */
/*
 * The parts of planner_make(): what they share.
 *
 *	make.c		opens the object, runs the parts, writes the plan down
 *	names.c		what is never traced, by its name
 *	candidates.c	what may be a function's entry
 *	scan.c		decodes the whole text, notes where it branches to
 *	targets.c	where it may go without a branch that says so: tables, pointers in data
 *	landing.c	where exceptions land
 *	judge.c		which candidates can be moved, and why the others cannot
 *	cache.c		plans that were made before
 */
#ifndef FTRACE_PLANNER_INTERNAL_H
#define FTRACE_PLANNER_INTERNAL_H

#include "arch/probe.h"
#include "engine/finder.h"
#include "planner.h"

/* What is known of a byte of text. */
enum {
	MARK_INSN	= 1 << 0,	/* an instruction begins here */
	MARK_TARGET	= 1 << 1,	/* execution may come here other than from the one before */
	MARK_CALLED	= 1 << 2,	/* by a call */
	MARK_TAKEN	= 1 << 3,	/* its address is taken, or stands in data */
	MARK_LOOP	= 1 << 4,	/* a function's first byte, and it jumps here itself */
	MARK_FLAGS	= 1 << 5,	/* a function's first byte, and it begins by reading flags */
	MARK_BEGIN	= 1 << 6,	/* a function, an unwind entry or a symbol begins here */
	MARK_JUMPED	= 1 << 7,	/* by a jump from outside of the function here */
};

#define MAX_REGIONS	64

/* A range of text. */
struct region {
	u64 vaddr, size;
	const u8 *code;
	u8 *marks;		/* a byte each */
};

/* Something that an instruction refers to relative to itself. */
struct ref {
	u64 from, to;
	bool takes;		/* its address is taken: perhaps a table's */
};

/* A jump by register. */
struct computed {
	u64 at;
	u64 lo, hi;		/* the function it is in; 0, 0: not known */
	u8 reg;
	bool word;		/* the function computes nothing in that register: it jumps to a word as it is */
};

struct addresses {
	u64 *at;
	size_t n, capacity;
};

struct planner {
	struct finder finder;		/* the object; its found[]: the candidates */
	struct probe *probe;
	char build_id[44];
	const char *object_reason;	/* why nothing of the object may be traced; NULL: no such reason */
	bool is_unwinder;		/* libgcc_s: what has no name in it is of the unwinder */
	struct region region[MAX_REGIONS];	/* by rising address */
	u32 nregions, last_region;
	u64 written_end;		/* of what is written for the last that can be moved */
	u32 last_unwind;		/* where the last look-up in the unwind table ended */
	struct ref *refs;		/* by rising from */
	size_t nrefs, refs_capacity;
	struct computed *computed;	/* by rising at */
	size_t ncomputed, computed_capacity;
	struct addresses bad;		/* undecodable bytes, rising */
	struct addresses unresolved;	/* computed jumps whose targets are not known, rising */
	struct addresses later;		/* targets inside of instructions: to be decoded from there */
};

/* All return 0 or -ENOMEM where they return int. */

/* The region of @addr, NULL: no text. */
struct region *planner_region(struct planner *p, u64 addr);

/* Set @marks at @addr, if that is text. */
void planner_mark(struct planner *p, u64 addr, u8 marks);

int addresses_add(struct addresses *a, u64 at);
/* The first that is not below @at, ~0: none. */
u64 addresses_from(const struct addresses *a, u64 at);

/* Make room for one more at @array[@n], NULL: no memory. */
void *planner_grow(void *array, size_t n, size_t *capacity, size_t size);

int candidates_find(struct planner *p);

/* Why the function of that name (@len bytes) is never traced, NULL: no such reason. */
const char *never_traced(const char *name, size_t len);
/* The same for a whole object; sets p->is_unwinder as well. */
void names_of_object(struct planner *p);

int scan_text(struct planner *p);
void scan_close(struct planner *p);

int targets_find(struct planner *p);
void landing_pads(struct planner *p);

/*
 * Judge candidate @c: NULL: @copy is its copy, @before as in struct ftrace_planned; else why not.
 * Called for each once, in order: what is written for one must not meet what is for the one before.
 */
const char *judge(struct planner *p, struct ftrace_found *c, struct probe_copy *copy, u8 *before);

#endif /* FTRACE_PLANNER_INTERNAL_H */
