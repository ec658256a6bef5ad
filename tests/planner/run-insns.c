/* SPDX-License-Identifier: MIT */
/*
 * run-insns [-ax] [-s SEED] [-n STATES] [-i INSTANCES] [-r RANDOM] OBJECT: executes instructions of the object one by
 * one under ptrace, in place and in what a probe would have made for them, from the same random states of
 * registers, vector registers, flags and memory. Both must end alike, or fault alike; see run-copies.c, which does
 * that with functions' beginnings.
 *
 * The object's text is decoded from each function's begin to the next. Instructions with the same mnemonic, kinds
 * and sizes of operands and prefixes are one form; of each form INSTANCES are taken at random (-a: all). The ways a
 * copy is come to and left (engine/detour.h):
 *	slot	a breakpoint's detour: of that one instruction
 *	jump	a jump's detour: of as many as it covers; in place, too, that many are executed
 *	post	the same two with a second call behind the first instruction
 *	done	branches: what the library does in their place for who is told behind them
 * In 32-bit code, by the mover alone: the first two.
 *
 * -r: RANDOM instructions of random bytes are tried as well, in a page of their own. -x: every copy is made wrong in one
 * place: the test of this test. Exit status 0: all agree; 1: not.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/x86/move.h"
#include "planner/planner.h"
#include "run-insns.h"

int states = 4, wrong;
ZydisDecoder decoder;
struct counts count;
struct form *forms;

/* ---- all of the object ---- */

static struct reason {
	const char *why;
	unsigned long instructions, forms;
} reasons[32];

static void refused(const char *why, bool is_form)
{
	u32 i = 0;

	while (reasons[i].why && strcmp(reasons[i].why, why))
		i++;
	reasons[i].why = why;
	reasons[i].instructions++;
	reasons[i].forms += is_form;
}

/* Call @each for the object's instructions. */
static void for_each(const struct ftrace_plan_header *plan,
		     void (*each)(unsigned long at, size_t avail, u64 size, struct form *form))
{
	const struct ftrace_planned *f = (const void *)((const char *)plan + plan->funcs);
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction in;

	for (u32 i = 0; i < plan->nfuncs; i++) {
		u64 avail, end;

		if (!elf_code_at(&elf, f[i].vaddr, &avail))
			continue;
		end = i + 1 < plan->nfuncs && f[i + 1].vaddr < f[i].vaddr + avail ? f[i + 1].vaddr :
										   f[i].vaddr + avail;
		for (u64 at = f[i].vaddr; at < end; at += in.length) {
			size_t left = (size_t)(f[i].vaddr + avail - at);

			if (!decode(base + at, left, &in, ops)) {
				in.length = 1;
				continue;
			}
			each(base + at, left, end - at, form_of(form_key(&in, ops)));
		}
	}
}

static u32 instances = 2;

/* Each of those seen so far is taken as likely as any other. */
static void note(unsigned long at, size_t avail, u64 size, struct form *form)
{
	struct x86_insn in;
	u64 k = form->seen++;

	count.instructions++;
	if (x86_decode(&in, (const u8 *)at, avail, !narrow))
		form->branch = x86_kind(&in) == X86_BRANCH;
	if (k >= instances)
		k = rnd() % form->seen;
	if (k < instances)
		form->at[k] = at;
}

static bool all;

static void try_noted(unsigned long at, size_t avail, u64 size, struct form *form)
{
	const char *why = "";
	bool taken = all;

	for (u32 i = 0; !taken && i < instances && i < form->seen; i++)
		taken = form->at[i] == at;
	if (taken) {
		why = try(at, avail, size, form);
		if (!why)
			form->claimed = true;
	} else {
		static struct probe_copy c;
		const struct x86_refusal *r = x86_move(!narrow, (const u8 *)at, avail, size, at, 1, &c);

		why = r ? r->here : NULL;
	}
	if (!why)
		return;
	count.unclaimed++;
	refused(why, !form->unclaimed);
	form->unclaimed = true;
}

/* ---- random bytes ---- */

static size_t random_opcode(u8 *p)
{
	static const u8 prefixes[] = { 0x66, 0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0xf0 };
	size_t n = 0;

	while (rnd() % 3 == 0 && n < 3)
		p[n++] = prefixes[rnd() % sizeof(prefixes)];
	if (!narrow && rnd() % 3 == 0)
		p[n++] = (u8)(0x40 | rnd() % 16);
	switch (rnd() % 12) {
	case 0: case 1: case 2:
		p[n++] = 0x0f;
		break;
	case 3:
		p[n++] = 0x0f;
		p[n++] = 0x38;
		break;
	case 4:
		p[n++] = 0x0f;
		p[n++] = 0x3a;
		break;
	case 5:
		p[n++] = 0xc5;
		p[n++] = (u8)rnd() | 0xc0;
		break;
	case 6:
		p[n++] = 0xc4;
		p[n++] = (u8)(0xe0 ^ (rnd() % 2 ? rnd() % 8 << 5 : 0)) | (u8)(1 + rnd() % 3);
		p[n++] = (u8)rnd() | 0x78;
		break;
	case 7:
		p[n++] = 0x62;
		p[n++] = (u8)(0xf0 ^ (rnd() % 2 ? rnd() % 16 << 4 : 0)) | (u8)(1 + rnd() % 3);
		p[n++] = (u8)rnd() | 0x7c;
		p[n++] = (u8)((rnd() & 0xf7) | 0x08);
		break;
	default:
		break;
	}
	return n;
}

static void random_instruction(const struct ftrace_plan_header *plan)
{
	u8 *p = (u8 *)SCRATCH;
	struct x86_insn in;
	const char *why;

	memset(p, 0xcc, 64);
	for (size_t i = random_opcode(p); i < 15; i++)
		p[i] = (u8)(rnd() >> 24);
	if (!x86_decode(&in, p, 15, !narrow)) {
		refused("no instruction", false);
		return;
	}
	memset(p + in.len, 0xcc, 15u - in.len);
	/* What has no register is led somewhere as well. */
	if (in.has_modrm && x86_mod(&in) == 0 && x86_rm(&in) == 5 && rnd() % 8) {
		u32 disp = narrow ? (u32)machine_pointer() : (u32)(machine_data() - (SCRATCH + in.len));

		memcpy(p + in.disp_at, &disp, in.disp_size);
	}
	why = try(SCRATCH, 64, 64, NULL);
	if (why)
		refused(why, false);
}

int main(int argc, char **argv)
{
	unsigned long randoms = 0, seed = 1;
	const char *why;
	void *plan;
	size_t size;
	int option;

	while ((option = getopt(argc, argv, "axs:n:i:r:")) != -1) {
		if (option == 'a')
			all = true;
		else if (option == 'x')
			wrong = 1;
		else if (option == 's')
			seed = strtoul(optarg, NULL, 10);
		else if (option == 'n')
			states = atoi(optarg);
		else if (option == 'i' && atoi(optarg) >= 1 && atoi(optarg) <= KEPT_MAX)
			instances = (u32)atoi(optarg);
		else if (option == 'r')
			randoms = strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: run-insns [-ax] [-s SEED] [-n STATES] [-i INSTANCES] [-r RANDOM] OBJECT\n");
		return 2;
	}
	rng_state = 88172645463325252ull + seed * 0x9e3779b97f4a7c15ull;
	printf("seed %lu\n", seed);
	if (planner_make(argv[optind], &plan, &size, &why)) {
		fprintf(stderr, "%s: %s\n", argv[optind], why);
		return 2;
	}
	machine_open(argv[optind]);
	ZydisDecoderInit(&decoder, narrow ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32 : ZYDIS_MACHINE_MODE_LONG_64,
			 narrow ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_64);
	map_shared(copies, 0x40000, PROT_READ | PROT_WRITE | PROT_EXEC);
	memset((void *)copies, 0xcc, 0x40000);
	*(u8 *)CALLED = 0xc3;
	forms = calloc(FORMS, sizeof(*forms));
	if (!forms)
		die("memory");
	machine_start();
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	for_each(plan, note);
	for_each(plan, try_noted);
	for (u32 i = 0; i < FORMS; i++) {
		count.branches += forms[i].branch && forms[i].claimed;
		count.both_ways += forms[i].branch && forms[i].ways == 3;
	}
	for (; randoms; randoms--)
		random_instruction(plan);
	machine_stop();
	if (machine_object_is_changed()) {
		printf("data of the object was written that no copy refers to\n");
		count.mismatches++;
	}
	for (u32 i = 0; reasons[i].why; i++)
		printf("not claimed: %s: %lu (%lu forms)\n", reasons[i].why, reasons[i].instructions,
		       reasons[i].forms);
	printf("instructions %lu forms %lu unclaimed %lu skipped %lu tried %lu runs %lu steps %lu faults %lu "
	       "endless %lu refers %lu calls %lu branches %lu both %lu slot %lu jump %lu post %lu done %lu "
	       "mismatches %lu\n", count.instructions, count.forms, count.unclaimed, count.skipped, count.tried,
	       count.runs, steps, count.faults, count.endless, count.refers, count.calls, count.branches,
	       count.both_ways, count.slot, count.jump, count.post, count.done, count.mismatches);
	return count.mismatches != 0;
}
