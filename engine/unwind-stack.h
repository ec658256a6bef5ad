/* SPDX-License-Identifier: MIT */
/*
 * Unwinding the stacks of threads that stand still, by the call frame information of what is loaded.
 *
 * Nothing is locked, allocated or logged, and no address is trusted: memory outside the stack is
 * read by a system call, which fails where nothing is. So it may be done in the helper that has
 * stopped the threads (stop.h), whatever they were in the middle of; only the loader's list must
 * be whole, which unwind_objects_open() looks at.
 */
#ifndef FTRACE_ENGINE_UNWIND_STACK_H
#define FTRACE_ENGINE_UNWIND_STACK_H

#include "arch-site.h"
#include "base.h"
#include "eh-frame.h"

/* Registers of one frame, by their numbers in DWARF: ARCH_UNWIND_PC and ARCH_UNWIND_SP among them. */
struct unwind_regs {
	unsigned long reg[ARCH_UNWIND_REGS];
};

/* ---- unwind-rules.c: what the unwind table says of one pc ---- */

/* How a register's value in the caller is found. */
enum unwind_how {
	UNWIND_SAME,		/* not changed, or nothing said */
	UNWIND_UNDEFINED,	/* of the pc: there is no caller */
	UNWIND_OFFSET,		/* in memory at the frame's address + value */
	UNWIND_VAL_OFFSET,	/* the frame's address + value */
	UNWIND_REGISTER,	/* in register number value */
	UNWIND_EXPRESSION,	/* in memory where the expression says */
	UNWIND_VAL_EXPRESSION,	/* what the expression says */
};

struct unwind_rule {
	u8 how;
	s64 value;
	const u8 *expr, *expr_end;
};

struct unwind_row {
	/* The frame's address: register cfa.value plus cfa_offset, or cfa's expression. */
	struct unwind_rule cfa;
	s64 cfa_offset;
	struct unwind_rule rule[ARCH_UNWIND_REGS];
	u32 ra;			/* the register that is the return address */
	bool signal;		/* it is a signal's frame: the caller's pc is no return address */
};

/* Entry @i of @t, at @pc. False: it cannot be read. */
bool unwind_row(const struct eh_frame *t, u32 i, u64 pc, struct unwind_row *row);

/* ---- unwind-stack.c ---- */

#define UNWIND_MAX_OBJECTS	1024u

struct unwind_object {
	unsigned long lo, hi, base;
	unsigned long got;	/* the global offset table's address, as linkage tables count from; 0: none */
	struct elf elf;		/* its segments as they are in memory */
	struct eh_frame table;
};

/* What is loaded. Large: in memory of its own. */
struct unwind_objects {
	u32 n;
	unsigned long entry;	/* where the program began: nobody has called that */
	struct unwind_object o[UNWIND_MAX_OBJECTS];
};

/* NULL: done; else why not, in words: the loader is changing its list now. */
const char *unwind_objects_open(struct unwind_objects *all);

/* An address on the main thread's stack, above all frames; 0: not known. */
unsigned long unwind_main_stack(void);

/* The object @pc is in; NULL: none. */
const struct unwind_object *unwind_object_of(const struct unwind_objects *all, unsigned long pc);

/* The bounds of the executable segment of @o that @addr is in. False: in none. */
bool unwind_text_of(const struct unwind_object *o, unsigned long addr, unsigned long *lo, unsigned long *hi);

/* The bounds of the function @pc is in, by the unwind table. False: not known. */
bool unwind_function(const struct unwind_objects *all, unsigned long pc, unsigned long *lo,
		     unsigned long *hi);

/*
 * Where the unwind table has the function at @entry begin: some compilers leave the nops for tracing out of it (gcc's
 * for s390). What it knows nothing of begins where it is.
 */
unsigned long unwind_begin_of(const struct unwind_objects *all, unsigned long entry);

/* A walk up one stack. */
struct unwind_walk {
	const struct unwind_objects *all;
	unsigned long stack_lo, stack_hi;	/* that much is known to be readable */
	struct unwind_regs regs;		/* of the frame that is looked at */
	bool exact;				/* its pc is where it stands, no return address */
	u32 depth;
	unsigned long callee;			/* behind a step: the begin of the function it has left */
};

/* @regs: of the thread; [@lo, @hi): its stack, from the stack pointer on. */
void unwind_begin(struct unwind_walk *w, const struct unwind_objects *all,
		  const struct unwind_regs *regs, unsigned long lo, unsigned long hi);

/* An address that lies in the frame's function: where it stands, or the call it is in. */
static inline unsigned long unwind_pc(const struct unwind_walk *w)
{
	return ARCH_CODE_ADDRESS(w->regs.reg[ARCH_UNWIND_PC]) - !w->exact;
}

enum unwind_result {
	UNWIND_FRAME,		/* @w is the caller's frame now */
	UNWIND_START,		/* there is no caller: it is the stack's first frame */
	UNWIND_LOST,		/* the caller cannot be found */
};
enum unwind_result unwind_step(struct unwind_walk *w);

#endif /* FTRACE_ENGINE_UNWIND_STACK_H */
