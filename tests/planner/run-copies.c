/* SPDX-License-Identifier: MIT */
/*
 * run-copies [-x] [-s SEED] [-n STATES] [-p PLAN] OBJECT: executes the moved instructions of every
 * planned function of the object, instruction by instruction under ptrace, in place and in their
 * copy, each from STATES random states of registers, flags and memory. Both must end alike:
 * registers, vector registers, flags, memory (stack, what registers point to, the object's data),
 * the address where execution goes on; or fault alike, at the same instruction.
 *
 * -p: writes the plan to a file, and nothing else. -x: every copy is made wrong in one place: the
 * test of this test. Exit status 0: all agree; 1: not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <Zydis/Zydis.h>

#include "engine/find.h"
#include "machine.h"
#include "planner/planner.h"

static const struct ftrace_plan_header *plan;
static const struct ftrace_planned *funcs;
static unsigned long runs, faults, left_by_branch, calls, mismatches, skipped;

/* A fault in the copy, put where it would have been in place. False: the copy's table does not have it. */
static bool put_back(struct state *s, const struct ftrace_planned *f, const struct ftrace_template *t,
		     unsigned long at)
{
	const struct ftrace_copied *c = (const struct ftrace_copied *)
		((const struct ftrace_fixup *)(t + 1) + t->nfixups);

	for (unsigned int i = 0; i < t->ninsns; i++) {
		if (c[i].copy != s->regs.rip - at)
			continue;
		/* An instruction that is none (SIGILL): that address is told. */
		if (s->fault == s->regs.rip)
			s->fault = base + f->vaddr + c[i].original;
		s->regs.rip = base + f->vaddr + c[i].original;
		if (c[i].pushed && machine_on_stack(s)) {	/* what was pushed already is below the stack again */
			memcpy(s->stack + (s->regs.rsp - STACK), stack_start + (s->regs.rsp - STACK),
			       c[i].pushed);
			s->regs.rsp += c[i].pushed;
		}
		return true;
	}
	return false;
}

/* Instructions whose result nobody can predict: their name; NULL: none. */
static const char *unpredictable(const struct ftrace_planned *f)
{
	static ZydisDecoder decoder;
	ZydisDecodedInstruction in;
	ZydisDecoderContext context;

	if (!decoder.stack_width)
		ZydisDecoderInit(&decoder, narrow ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32 :
				 ZYDIS_MACHINE_MODE_LONG_64, narrow ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_64);
	for (unsigned int at = 0; at < f->len; at += in.length) {
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, &context, f->orig + at,
								f->len - at, &in)))
			return NULL;	/* padding that is cut off */
		switch (in.mnemonic) {
		case ZYDIS_MNEMONIC_RDTSC: case ZYDIS_MNEMONIC_RDTSCP: case ZYDIS_MNEMONIC_RDPMC:
		case ZYDIS_MNEMONIC_RDRAND: case ZYDIS_MNEMONIC_RDSEED: case ZYDIS_MNEMONIC_CPUID:
		case ZYDIS_MNEMONIC_RDPID: case ZYDIS_MNEMONIC_SYSCALL: case ZYDIS_MNEMONIC_XBEGIN:
			return ZydisMnemonicGetString(in.mnemonic);
		default:
			break;
		}
	}
	return NULL;
}

static const char *name_of(const struct ftrace_planned *f)
{
	return f->name ? (const char *)plan + plan->strings + f->name : "(no name)";
}

static void compare(const struct ftrace_planned *f, const struct ftrace_template *t,
		    unsigned long at, int states)
{
	static struct state start, in_place, copy;
	const struct ftrace_fixup *fixup = (const struct ftrace_fixup *)(t + 1);
	unsigned long ip = base + f->vaddr;
	u64 refs[PROBE_MAX_FIXUPS];
	struct piece here = { .at = ip, .len = f->len, .refs = refs, .nrefs = t->nfixups }, there = here;

	there.at = at;
	there.len = FTRACE_COPY_SIZE;
	for (u32 i = 0; i < t->nfixups; i++)
		refs[i] = fixup[i].vaddr;
	for (int k = 0; k < states; k++) {
		const char *what = NULL;

		machine_state(&start, k % 4);
		machine_run(&in_place, &start, &here);
		machine_run(&copy, &start, &there);
		runs++;
		if (in_place.signal)
			faults++;
		else if (in_place.regs.rip != ip + f->len)
			left_by_branch++;
		if (!in_place.signal && in_place.regs.rsp < start.regs.rsp && machine_on_stack(&in_place) &&
		    *(u32 *)(in_place.stack + (in_place.regs.rsp - STACK)) == (u32)(ip + f->len))
			calls++;
		if (copy.signal && !put_back(&copy, f, t, at))
			what = "a fault where the copy's table has no instruction";
		if (!what)
			what = machine_difference(&in_place, &copy, &here);
		if (what && mismatches++ < 20)
			printf("%s at %llx, state %d: %s\n", name_of(f), (unsigned long long)f->vaddr, k,
			       what);
	}
}

/* One byte of the copy, not of padding, is made another. */
static void damage(u8 *copy, const struct ftrace_template *t)
{
	const struct ftrace_fixup *f = (const struct ftrace_fixup *)(t + 1);

	copy[f[rnd() % t->nfixups].at] ^= 1;
}

int main(int argc, char **argv)
{
	int option, states = 4, wrong = 0, ret;
	unsigned long planned = 0, named = 0, named_moved = 0, not_entries = 0;
	void *made;
	const char *why, *write_to = NULL;
	size_t size;

	rng_state = 88172645463325252ull;
	while ((option = getopt(argc, argv, "xs:n:p:")) != -1) {
		if (option == 'x')
			wrong = 1;
		else if (option == 's')
			rng_state += strtoull(optarg, NULL, 10) * 0x9e3779b97f4a7c15ull;
		else if (option == 'n')
			states = atoi(optarg);
		else if (option == 'p')
			write_to = optarg;
		else
			return 2;
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: run-copies [-x] [-s SEED] [-n STATES] [-p PLAN] OBJECT\n");
		return 2;
	}
	ret = planner_make(argv[optind], &made, &size, &why);
	if (ret) {
		fprintf(stderr, "%s: %s\n", argv[optind], why);
		return 2;
	}
	if (write_to) {
		FILE *out = fopen(write_to, "wb");

		if (!out || fwrite(made, 1, size, out) != size || fclose(out))
			die(write_to);
		return 0;
	}
	plan = made;
	funcs = (const void *)((const char *)made + plan->funcs);
	machine_open(argv[optind]);
	map_shared(copies, ALIGN_UP(plan->nfuncs * (size_t)FTRACE_COPY_SIZE, FT_PAGE_SIZE),
		   PROT_READ | PROT_WRITE | PROT_EXEC);

	for (u32 i = 0; i < plan->nfuncs; i++) {
		const struct ftrace_planned *f = &funcs[i];
		const struct ftrace_template *t = (const void *)((const char *)plan + plan->code + f->code);
		unsigned long at = copies + i * (size_t)FTRACE_COPY_SIZE;

		if (f->form == FTRACE_FORM_NONE)
			continue;
		if (memcmp((void *)(base + f->vaddr), f->orig, f->len)) {
			printf("%s: not the original bytes\n", name_of(f));
			mismatches++;
		}
		ret = arch_copy_write((u8 *)at, at, base, t);
		if (ret) {
			printf("%s: its copy cannot be written: %d\n", name_of(f), ret);
			mismatches++;
		}
		if (wrong)
			damage((u8 *)at, t);
	}
	machine_start();

	for (u32 i = 0; i < plan->nfuncs; i++) {
		const struct ftrace_planned *f = &funcs[i];
		const struct ftrace_template *t = (const void *)((const char *)plan + plan->code + f->code);
		const char *reason = (const char *)plan + plan->strings + f->reason;

		named += !!f->name;
		if (f->form == FTRACE_FORM_NONE) {
			not_entries += f->name && (strstr(reason, "not an entry") ||
						   strstr(reason, "returns from signal handlers"));
			continue;
		}
		planned++;
		named_moved += !!f->name;
		why = unpredictable(f);
		if (why) {
			printf("%s: not compared: %s\n", name_of(f), why);
			skipped++;
			continue;
		}
		compare(f, t, copies + i * (size_t)FTRACE_COPY_SIZE, states);
	}
	machine_stop();
	if (machine_object_is_changed()) {
		printf("data of the object was written that no copy refers to\n");
		mismatches++;
	}
	printf("symbols %lu parts %lu movable %lu planned %lu skipped %lu runs %lu steps %lu faults %lu "
	       "branched %lu called %lu mismatches %lu\n", named, not_entries, named_moved, planned,
	       skipped, runs, steps, faults, left_by_branch, calls, mismatches);
	return mismatches != 0;
}
