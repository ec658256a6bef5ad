/* SPDX-License-Identifier: MIT */
/*
 * usage: fidelity MODE ROUNDS SEED
 *
 * Random values in every register across the entry and the return of a traced function, compared register
 * by register; see tests/fidelity/fidelity.c. MODE: none (nobody, or whoever recorded this program),
 * minimal, regs, several, graph, both, twice, change (the callback changes the registers: the function must
 * see the changed ones), r14 (it changes where the function returns to).
 *
 * Compared at the entry: every general register, the upper halves too (but not where the emulator changes them
 * at will); all floating point and vector
 * registers, the control register; the condition code in the modes that save it. At the return: what the
 * ABI has survive a call or holds what is returned. The back chain is left alone.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#define WITH_LIBRARY
#include "../fidelity/attach.h"
#include "fidelity-state.h"

#define HAS_VECTORS	2048	/* HWCAP_S390_VX */

union state {
	uint8_t bytes[STATE_SIZE];
	uint64_t words[STATE_SIZE / 8];
	struct {
		uint64_t general[16];
		uint64_t vector[32][2];
		uint32_t fpc, cc;
	};
};

extern union state fidelity_before, fidelity_inside, fidelity_result, fidelity_after;
extern uint64_t fidelity_sp;
extern unsigned long fidelity_chain;
extern int fidelity_vectors;
extern char fidelity_back[];
void fidelity_call(void);
void fidelity_target(void);

static unsigned long callbacks;
static int failed, cc_kept;
static uint64_t whole = ~0ull;	/* what of a general register is compared */
static union state changed;

static UNTRACED void randomize(union state *s)
{
	for (unsigned int i = 0; i < STATE_SIZE / 8; i++)
		s->words[i] = random64();
	s->fpc = (random64() & 0x00f8ff00) | random64() % 4;	/* flags and the rounding mode; no traps */
	s->cc = (random64() & 3) << 28;				/* the program mask stays zero */
}

static UNTRACED void differ(const char *where, const char *name, int index, uint64_t expected, uint64_t found)
{
	failed = 1;
	printf("%s: %s%d: expected %016llx, found %016llx\n", where, name, index, (unsigned long long)expected,
	       (unsigned long long)found);
}

/* @dead: general registers that are not compared, a bit each. */
static UNTRACED void compare(const char *where, const union state *expected, const union state *found,
			     unsigned int dead)
{
	for (int i = 0; i < 14; i++)
		if (!(dead & 1u << i) && (expected->general[i] ^ found->general[i]) & whole)
			differ(where, "r", i, expected->general[i], found->general[i]);
	if (found->general[15] != fidelity_sp)
		differ(where, "r", 15, fidelity_sp, found->general[15]);
	for (int i = 0; i < (fidelity_vectors ? 32 : 16); i++) {
		/* The other halves of v8 to v15 belong to the callee, and no argument is there. */
		int halves = fidelity_vectors && (i < 8 || i > 15) ? 2 : 1;

		for (int half = 0; half < halves; half++)
			if (expected->vector[i][half] != found->vector[i][half])
				differ(where, half ? "second half of v" : "f or v", i,
				       expected->vector[i][half], found->vector[i][half]);
	}
	if (expected->fpc != found->fpc)
		differ(where, "fpc", 0, expected->fpc, found->fpc);
}

/* ---- the callbacks ---- */

static UNTRACED void clobber(void)
{
	__asm__ volatile("lhi %%r0, 1; sfpc %%r0; lhi %%r0, -1; lr %%r1, %%r0; lr %%r2, %%r0\n\t"
			 "lr %%r3, %%r0; lr %%r4, %%r0; lr %%r5, %%r0; cr %%r0, %%r1\n\t"
			 ".irp n, 0,1,2,3,4,5,6,7\n\tlzdr %%f\\n\n\t.endr"
			 ::: "r0", "r1", "r2", "r3", "r4", "r5", "f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7",
			 "cc", "memory");
}

static UNTRACED void check_regs(struct pt_regs *regs, int all)
{
	for (int i = 0; i < 14; i++)
		if ((all || (i >= 2 && i <= 6)) &&
		    regs->gprs[i] != (unsigned long)fidelity_before.general[i])
			differ("callback", "gprs", i, (unsigned long)fidelity_before.general[i], regs->gprs[i]);
	if (regs->gprs[15] != fidelity_sp)
		differ("callback", "gprs", 15, fidelity_sp, regs->gprs[15]);
	if ((regs->gprs[14] & 0x7fffffff) != ((unsigned long)fidelity_back & 0x7fffffff))
		differ("callback", "gprs", 14, (unsigned long)fidelity_back, regs->gprs[14]);
	if (all && ((regs->psw.mask >> (8 * sizeof(long) - 32)) & 0x3000) >> 12 != fidelity_before.cc >> 28)
		differ("callback", "condition code", 0, fidelity_before.cc >> 28, regs->psw.mask);
}

static UNTRACED void at_entry(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
			      struct pt_regs *regs)
{
	callbacks++;
	if (parent_ip != ((unsigned long)fidelity_back & (~0ul >> (sizeof(long) == 4))))
		differ("callback", "parent_ip", 0, (unsigned long)fidelity_back, parent_ip);
	check_regs(regs, !!(op->flags & FTRACE_OPS_FL_SAVE_REGS));
	clobber();
}

static UNTRACED void at_entry_change(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
				     struct pt_regs *regs)
{
	unsigned long mask = 0x3000ul << (8 * sizeof(long) - 32);

	callbacks++;
	for (int i = 0; i < 14; i++)
		regs->gprs[i] = (unsigned long)changed.general[i];
	regs->psw.mask = (regs->psw.mask & ~mask) | (((unsigned long)changed.cc >> 28 << 12) <<
						      (8 * sizeof(long) - 32));
	clobber();
}

static UNTRACED int graph_entry(struct ftrace_graph_ent *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	callbacks++;
	check_regs(regs, 1);
	clobber();
	return 1;
}

static UNTRACED void graph_return(struct ftrace_graph_ret *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	callbacks++;
	if (regs->gprs[2] != (unsigned long)fidelity_result.general[2])
		differ("retfunc", "gprs", 2, fidelity_result.general[2], regs->gprs[2]);
	if (regs->gprs[3] != (unsigned long)fidelity_result.general[3])
		differ("retfunc", "gprs", 3, fidelity_result.general[3], regs->gprs[3]);
	clobber();
}

static struct ftrace_ops minimal = { .func = at_entry };
static struct ftrace_ops regs = { .func = at_entry, .flags = FTRACE_OPS_FL_SAVE_REGS };
static struct ftrace_ops change = { .func = at_entry_change, .flags = FTRACE_OPS_FL_SAVE_REGS };
static struct fgraph_ops graph = { .entryfunc = graph_entry, .retfunc = graph_return };
static struct fgraph_ops graph_two = { .entryfunc = graph_entry, .retfunc = graph_return };

static UNTRACED int start(const char *mode)
{
	int known = 0;

#define MODE(name, ...) if (!strcmp(mode, name)) { known = 1; __VA_ARGS__; }
	MODE("none", )
	MODE("minimal", function(&minimal))
	MODE("regs", function(&regs); cc_kept = 1)
	MODE("several", function(&minimal); function(&regs); cc_kept = 1)
	MODE("graph", graph_ops(&graph))
	MODE("both", graph_ops(&graph); function(&regs))
	MODE("twice", graph_ops(&graph); graph_ops(&graph_two))
	MODE("change", function(&change); cc_kept = 1)
	return known;
}

/* LA leaves upper halves alone where addresses are narrow. Not so that of qemu 7.2. */
static UNTRACED int emulator_clears_upper_halves(void)
{
#ifdef __s390x__
	return 0;
#else
	static uint64_t value __attribute__((aligned(8)));

	value = ~0ull;
	__asm__ volatile(".machine push; .machine \"z13\"; .machinemode zarch\n\t"
			 "larl %%r1, %0; lg %%r0, 0(%%r1); lgr %%r2, %%r0; la %%r2, 0(%%r2); stg %%r2, 0(%%r1)\n\t"
			 ".machinemode esa; .machine pop"
			 :: "i"(&value) : "r0", "r1", "r2", "memory");
	return !(value >> 32);
#endif
}

int UNTRACED main(int argc, char **argv)
{
	/* r14 apart, these are nobody's at a return: the ABI's scratch registers. */
	const unsigned int dead_at_return = 1u << 0 | 1u << 1 | 1u << 4 | 1u << 5;
	long rounds;

	if (argc < 4)
		return 2;
	rounds = atol(argv[2]);
	random_state = strtoull(argv[3], NULL, 0) | 1;
	fidelity_vectors = !!(getauxval(AT_HWCAP) & HAS_VECTORS);
	if (emulator_clears_upper_halves())
		whole = 0xffffffff;
	if (!start(argv[1]))
		return 2;
	for (long i = 0; i < rounds && !failed; i++) {
		union state expected;
		unsigned long before = callbacks;

		randomize(&fidelity_before);
		randomize(&fidelity_result);
		randomize(&changed);
		memset(&fidelity_inside, 0, STATE_SIZE);
		memset(&fidelity_after, 0, STATE_SIZE);
		fidelity_call();
		expected = fidelity_before;
		if (!strcmp(argv[1], "change")) {
			for (int r = 0; r < 14; r++)
				memcpy((char *)&expected.general[r] + 8 - sizeof(long),
				       (char *)&changed.general[r] + 8 - sizeof(long), sizeof(long));
			expected.cc = changed.cc;
		}
		compare("entry", &expected, &fidelity_inside, 0);
		if (cc_kept && expected.cc >> 28 != fidelity_inside.cc >> 28)
			differ("entry", "condition code", 0, expected.cc >> 28, fidelity_inside.cc >> 28);
		compare("return", &fidelity_result, &fidelity_after, dead_at_return);
		if (fidelity_chain != (unsigned long)fidelity_sp + (sizeof(long) == 8 ? 160 : 96) + 64)
			differ("return", "back chain", 0, fidelity_sp, fidelity_chain);
		if (strcmp(argv[1], "none") && callbacks == before) {
			printf("no callback ran\n");
			failed = 1;
		}
		if (failed)
			printf("round %ld\n", i);
	}
	if (!failed)
		printf("ok %ld vectors %d registers %s\n", rounds, fidelity_vectors,
		       whole == ~0ull ? "whole" : "their lower halves");
	return failed;
}
