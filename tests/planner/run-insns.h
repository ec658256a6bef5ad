/* SPDX-License-Identifier: MIT */
/*
 * run-insns:
 *
 *	run-insns.c	all instructions of an object, and random ones
 *	insn-try.c	one of them, by each way that a detour has
 *	insn-forms.c	what one form is; states in which an instruction finds memory
 */
#ifndef TESTS_PLANNER_RUN_INSNS_H
#define TESTS_PLANNER_RUN_INSNS_H

#include <Zydis/Zydis.h>

#include "machine.h"

#define DETOUR		copies			/* the one that is made anew for each */
#define CALLED		(copies + 0x30000)	/* what it calls: a return */
#define SCRATCH		(copies + 0x31000)	/* where random bytes are "in place" */
#define KEPT_MAX	64

extern int states, wrong;
extern ZydisDecoder decoder;

struct counts {
	unsigned long instructions, forms, unclaimed, skipped, tried, runs, faults, endless, refers, calls, branches,
		      both_ways, slot, jump, post, done, mismatches;
};
extern struct counts count;

struct form {
	u64 key;		/* 0: free */
	unsigned long seen;
	u64 at[KEPT_MAX];	/* instances taken */
	u8 branch;		/* 1: may go on behind it, or not */
	u8 ways;		/* which of these it did */
	bool claimed, unclaimed;
};

#define FORMS	(1u << 16)
extern struct form *forms;

/* ---- insn-forms.c ---- */

bool decode(unsigned long at, size_t avail, ZydisDecodedInstruction *in, ZydisDecodedOperand *ops);

/* All instructions of one form have the same. */
u64 form_key(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *ops);
struct form *form_of(u64 key);

/* Why it cannot be compared; NULL: it can. */
const char *unpredictable(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *ops);

/* State number @kind, in which its memory operands are led to memory. */
void prepare(struct state *s, int kind, const ZydisDecodedInstruction *in, const ZydisDecodedOperand *ops);

/* ---- insn-try.c ---- */

/*
 * The instruction at @at, of which @avail bytes may be read and @size be covered, by every way. @form: its own, or NULL.
 * NULL, or why a probe is refused there.
 */
const char *try(unsigned long at, size_t avail, u64 size, struct form *form);

/* The handler of faults of what the library does itself. */
void on_fault(int sig);

#endif
