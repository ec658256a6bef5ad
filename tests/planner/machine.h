/* SPDX-License-Identifier: MIT */
/*
 * A processor to try instructions on: a child under ptrace, whose registers, vector registers and memory are set
 * and read. What it executes is an object that is mapped, not relocated: what a word of the GOT holds is the same
 * for an instruction in place and for its copy. A 32-bit object's instructions are executed as such, by a code segment
 * of that kind, in this 64-bit process.
 *
 * All that the child sees but the object's own text is shared with the parent, at the same addresses.
 */
#ifndef TESTS_PLANNER_MACHINE_H
#define TESTS_PLANNER_MACHINE_H

#include <sys/user.h>

#include "arch/arch.h"
#include "engine/elf-file.h"

/* What registers point to, and the stack. */
#define ARENA		(narrow ? 0x70000000ul : 0x200000000000ul)
#define ARENA_SIZE	0x4000ul
#define STACK		(narrow ? 0x71000000ul : 0x210000000000ul)
#define STACK_SIZE	0x2000ul

#define WINDOWS		8			/* places of the object's data that are looked at ... */
#define WINDOW		256ul			/* ... this far around what is referred to */
#define XSTATE_MAX	16384

struct state {
	struct user_regs_struct regs;
	u8 xstate[XSTATE_MAX];	/* x87 and vector registers, as XSAVE lays them out */
	int signal;		/* that ended it; 0: it left the instructions; -1: it would go on for long */
	unsigned long fault;	/* si_addr */
	u8 arena[ARENA_SIZE], stack[STACK_SIZE];
	u8 data[WINDOWS][2 * WINDOW];
};

extern bool narrow;		/* a 32-bit object */
extern struct elf elf;
extern unsigned long base;	/* of the object */
extern unsigned long copies;	/* where copies may be, from there on within reach */
extern unsigned long long rng_state;
extern unsigned long steps;	/* of all runs */
extern u8 arena_start[ARENA_SIZE], stack_start[STACK_SIZE];	/* memory as it is in the state made last */

/* A piece of code that is executed until it is left. */
struct piece {
	unsigned long at, len;
	bool single;		/* one instruction: it may lead into itself */
	const u64 *refs;	/* addresses in the object that it refers to */
	u32 nrefs;
	/* Called before the instruction at @hook_at, to change memory; 0: nowhere. */
	unsigned long hook_at;
	void (*hook)(const struct user_regs_struct *regs);
};

unsigned long long rnd(void);
void die(const char *what);
void *map_shared(unsigned long at, size_t size, int prot);

void machine_open(const char *path);	/* @narrow is set; maps the object, the arena and the stack */
void machine_start(void);		/* once everything is mapped */
void machine_stop(void);

/*
 * A random state, of registers and of memory. @kind: 0, 1: registers point to memory; 2: some are small numbers; 3:
 * anything.
 */
void machine_state(struct state *s, int kind);

/* An address in the middle of the object's writable data. */
unsigned long machine_data(void);

/* A value that points into the middle of the arena. */
unsigned long long machine_pointer(void);

/* Memory as it is in the state made last, the object's data @p refers to as it was. */
void machine_memory(const struct piece *p);

/* Execute @p from @from; how it ended is in @to. */
void machine_run(struct state *to, const struct state *from, const struct piece *p);

/* In what two ends of @p differ, in words; NULL: in nothing. */
const char *machine_difference(const struct state *a, const struct state *b, const struct piece *p);

/* Its part of a register's state: component @n of XSAVE; NULL: the processor has none. */
u8 *machine_component(struct state *s, unsigned int n, u32 *size);

/* Was anything of the object written that no piece refers to? */
bool machine_object_is_changed(void);

static inline bool machine_on_stack(const struct state *s)
{
	return s->regs.rsp - STACK <= STACK_SIZE - 8;
}

#endif /* TESTS_PLANNER_MACHINE_H */
