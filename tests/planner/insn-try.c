/* SPDX-License-Identifier: MIT */
/* One instruction in place, and by each way that a detour has for it; see run-insns.c. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <ftrace/ptrace.h>

#include "arch/x86/move.h"
#include "engine/detour.h"
#include "run-insns.h"

#define MORE_STATES	60			/* for a branch that has gone one way only */

/* ---- a detour ---- */

struct part {
	unsigned int off;		/* in the detour */
	const struct probe_copy *copy;
	unsigned int original;		/* where what it stands for begins, from the instruction */
};

struct detour {
	const char *way;
	struct part part[3];
	u32 nparts;
	bool post;
};

static unsigned long clobbered[8];	/* words that the calls of a detour have written */
static u32 nclobbered;
static bool post_wanted;

/* The detour's call: nothing, or what the library does for who wants to be told behind the instruction. */
static void called(const struct user_regs_struct *regs)
{
	unsigned long *ret = (unsigned long *)regs->rsp;
	bool there = regs->rsp - STACK < STACK_SIZE - 16 || regs->rsp - ARENA < ARENA_SIZE - 16;

	if (!there)
		return;			/* the return faults, as the call would have */
	if (nclobbered + 2 <= ARRAY_SIZE(clobbered)) {
		clobbered[nclobbered++] = regs->rsp;
		clobbered[nclobbered++] = regs->rsp + 8;
	}
	if (post_wanted && *ret % FTRACE_DETOUR_SIZE == ARCH_DETOUR_RET)
		*ret += ARCH_DETOUR_AGAIN - ARCH_DETOUR_RET;
}

/* What is in both is taken for the same. */
static void same_word(struct state *to, const struct state *from, unsigned long at, u32 size)
{
	if (at - STACK <= STACK_SIZE - size)
		memcpy(to->stack + (at - STACK), from->stack + (at - STACK), size);
	else if (at - ARENA <= ARENA_SIZE - size)
		memcpy(to->arena + (at - ARENA), from->arena + (at - ARENA), size);
}

/* A fault in the detour, put where it would have been in place. False: no instruction begins there. */
static bool put_back(struct state *s, const struct state *in_place, const struct detour *d, unsigned long ip)
{
	unsigned int off = (unsigned int)(s->regs.rip - DETOUR);

	for (u32 k = 0; k < d->nparts; k++)
		for (u32 i = 0; i < d->part[k].copy->ninsns; i++) {
			const struct ftrace_copied *c = &d->part[k].copy->copied[i];
			unsigned long here = ip + d->part[k].original + c->original;

			if (d->part[k].off + c->copy != off)
				continue;
			if (s->fault == s->regs.rip)
				s->fault = here;
			s->regs.rip = here;
			if (c->pushed) {	/* what was pushed already is below the stack again */
				same_word(s, in_place, s->regs.rsp, c->pushed);
				s->regs.rsp += c->pushed;
			}
			return true;
		}
	return false;
}

/* A byte of the copy that counts is made another. */
static void damage(const struct probe_copy *c, unsigned int off)
{
	if (wrong)
		((u8 *)DETOUR)[off + c->fixup[rnd() % c->nfixups].at] ^= 1;
}

static int write_detour(struct detour *d, const struct probe_copy *all, const struct probe_copy *first,
			const struct probe_copy *rest)
{
	u64 blob[FTRACE_TEMPLATE_MAX / 8 + 1] = { 0 };
	int err;

	d->nparts = 1;
	d->post = first;
	if (narrow) {
		d->part[0] = (struct part){ 0, all, 0 };
		ftrace_template_put(blob, all);
		err = arch_copy_write((u8 *)DETOUR, DETOUR, 0, (const struct ftrace_template *)blob);
		damage(all, 0);
		return err;
	}
	*(unsigned long *)(DETOUR + FTRACE_DETOUR_DATA) = CALLED;
	err = arch_detour_write((u8 *)DETOUR, DETOUR, all, first, rest);
	d->part[0] = (struct part){ ARCH_DETOUR_COPY, all, 0 };
	if (first)
		d->part[d->nparts++] = (struct part){ ARCH_DETOUR_FIRST, first, 0 };
	if (rest)
		d->part[d->nparts++] = (struct part){ ARCH_DETOUR_REST, rest, first->moved };
	damage(first ? first : all, first ? ARCH_DETOUR_FIRST : ARCH_DETOUR_COPY);
	return err;
}

static void said(const char *way, unsigned long ip, unsigned int len, int state, const char *what)
{
	char text[96] = "not decoded";
	ZydisDecodedInstruction in;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	ZydisFormatter f;

	if (count.mismatches++ >= 40)
		return;
	ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_ATT);
	if (decode(ip, 15, &in, ops))
		ZydisFormatterFormatInstruction(&f, &in, ops, in.operand_count_visible, text, sizeof(text), ip,
						NULL);
	printf("%lx: %s (", ip - base, text);
	for (unsigned int i = 0; i < len; i++)
		printf("%s%02x", i ? " " : "", ((u8 *)ip)[i]);
	printf("), %s, state %d: %s\n", way, state, what);
}

/* ---- one instruction, one state ---- */

static struct state start, in_place, sequence, copy;

static void compare(const struct detour *d, const struct state *want, const struct piece *here, int k)
{
	struct piece there = *here;
	const char *what = NULL;

	there.at = DETOUR;
	there.single = false;
	there.len = narrow ? FTRACE_COPY_SIZE : FTRACE_DETOUR_SIZE;
	if (!narrow) {
		there.hook_at = CALLED;
		there.hook = called;
	}
	nclobbered = 0;
	post_wanted = d->post;
	machine_run(&copy, &start, &there);
	count.runs++;
	if (want->signal < 0 || copy.signal < 0) {
		count.endless++;
		return;
	}
	/* Behind an instruction that changed sp the call may write where nobody looks. */
	if (d->post && !machine_on_stack(want) && want->regs.rsp - ARENA >= ARENA_SIZE)
		return;
	if (copy.signal && !put_back(&copy, want, d, here->at)) {
		/* Behind an instruction that changed sp there may be no stack to call with. */
		if (d->post && !machine_on_stack(&copy))
			return;
		what = "a fault where no instruction begins";
	}
	for (u32 i = 0; i < nclobbered; i++)
		same_word(&copy, want, clobbered[i], 8);
	if (!what)
		what = machine_difference(want, &copy, here);
	if (what)
		said(d->way, here->at, (unsigned int)here->len, k, what);
}

/* ---- done by the library ---- */

static sigjmp_buf faulted;

void on_fault(int sig)
{
	siglongjmp(faulted, 1);
}

static void compare_done(const struct state *want, const struct piece *here, int k)
{
	const struct user_regs_struct *r = &start.regs;
	struct pt_regs regs = {
		.r15 = r->r15, .r14 = r->r14, .r13 = r->r13, .r12 = r->r12, .rbp = r->rbp, .rbx = r->rbx,
		.r11 = r->r11, .r10 = r->r10, .r9 = r->r9, .r8 = r->r8, .rax = r->rax, .rcx = r->rcx,
		.rdx = r->rdx, .rsi = r->rsi, .rdi = r->rdi, .orig_rax = r->orig_rax, .rip = here->at,
		.cs = r->cs, .eflags = r->eflags, .rsp = r->rsp, .ss = r->ss,
	};
	const char *what;
	size_t from;

	if (want->signal || !arch_insn_emulate((const u8 *)here->at, NULL))
		return;
	machine_memory(here);
	copy = *want;
	if (sigsetjmp(faulted, 1)) {
		said("done", here->at, (unsigned int)here->len, k, "a fault");
		return;
	}
	if (!arch_insn_emulate((const u8 *)here->at, &regs))
		said("done", here->at, (unsigned int)here->len, k, "not done");
	count.runs++;
	count.done++;
#define TAKE(field)	copy.regs.field = regs.field
	TAKE(r15); TAKE(r14); TAKE(r13); TAKE(r12); TAKE(rbp); TAKE(rbx); TAKE(r11); TAKE(r10); TAKE(r9); TAKE(r8);
	TAKE(rax); TAKE(rcx); TAKE(rdx); TAKE(rsi); TAKE(rdi); TAKE(rip); TAKE(eflags); TAKE(rsp);
#undef TAKE
	from = ARENA_SIZE;
	memcpy(copy.arena, (void *)ARENA, from);
	memcpy(copy.stack, (void *)STACK, STACK_SIZE);
	machine_memory(here);
	what = machine_difference(want, &copy, here);
	if (what)
		said("done", here->at, (unsigned int)here->len, k, what);
}

/* ---- one instruction ---- */

/* Does any of the instructions at @at lead between them? */
static bool leads_inside(unsigned long at, unsigned int len)
{
	struct x86_insn in;

	for (unsigned int i = 0; i < len && x86_decode(&in, (const u8 *)at + i, 15, !narrow); i += in.len)
		if (in.relative && x86_target(&in, !narrow, at + i) - at < len)
			return true;
	return false;
}

struct copies {
	struct probe_copy slot, jump, rest;
	bool has_slot, has_jump, has_rest;
};

static void references(u64 *refs, struct piece *p, const struct probe_copy *c)
{
	p->refs = refs;
	p->nrefs = c->nfixups;
	for (u32 i = 0; i < c->nfixups; i++)
		refs[i] = c->fixup[i].vaddr - base;
}

static void run_ways(const struct copies *c, const struct piece *one, const struct piece *many, bool branches, int k)
{
	struct detour d = { 0 };

	if (!write_detour(&d, &c->slot, NULL, NULL)) {
		d.way = "slot";
		count.slot++;
		compare(&d, &in_place, one, k);
	}
	if (!narrow && !branches && !write_detour(&d, &c->slot, &c->slot, NULL)) {
		d.way = "slot, post";
		count.post++;
		compare(&d, &in_place, one, k);
	}
	if (branches && !narrow && !wrong)
		compare_done(&in_place, one, k);
	if (!c->has_jump)
		return;
	machine_run(&sequence, &start, many);
	if (!write_detour(&d, &c->jump, NULL, NULL)) {
		d.way = "jump";
		count.jump++;
		compare(&d, &sequence, many, k);
	}
	if (!narrow && !branches && (c->has_rest || c->jump.moved == one->len) &&
	    !write_detour(&d, &c->jump, &c->slot, c->has_rest ? &c->rest : NULL)) {
		d.way = "jump, post";
		count.post++;
		compare(&d, &sequence, many, k);
	}
}

/* The instruction at @at; @size: to the function's end. The reason why it is not claimed; NULL: it is. */
const char *try(unsigned long at, size_t avail, u64 size, struct form *form)
{
	struct piece one = { .at = at, .single = true }, many = { .at = at };
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	u64 one_refs[PROBE_MAX_FIXUPS], many_refs[PROBE_MAX_FIXUPS];
	const struct x86_refusal *why;
	ZydisDecodedInstruction in;
	bool known = decode(at, avail, &in, ops), branches;
	struct x86_insn insn;
	struct copies c;
	u8 ways = 0;

	why = x86_move(!narrow, (const u8 *)at, avail, size, at, 1, &c.slot);
	if (why)
		return why->here;
	if (known && unpredictable(&in, ops)) {
		count.skipped++;
		return NULL;
	}
	x86_decode(&insn, (const u8 *)at, avail, !narrow);
	branches = x86_kind(&insn) != X86_PLAIN;
	one.len = c.slot.moved;
	references(one_refs, &one, &c.slot);
	c.has_jump = !x86_move(!narrow, (const u8 *)at, avail, size, at, ARCH_SITE_SIZE, &c.jump) &&
		     !leads_inside(at, c.jump.moved);
	for (unsigned int i = 0; c.has_jump && i < c.jump.moved; i += in.length)
		if (decode(at + i, avail - i, &in, ops) ? !!unpredictable(&in, ops) : known)
			c.has_jump = false;
	known = decode(at, avail, &in, ops);
	many.len = c.jump.moved;
	if (c.has_jump)
		references(many_refs, &many, &c.jump);
	c.has_rest = c.has_jump && c.jump.moved > insn.len &&
		     !x86_move(!narrow, (const u8 *)at + insn.len, avail - insn.len, size - insn.len, at + insn.len,
			       ARCH_SITE_SIZE - insn.len, &c.rest);
	count.tried++;
	count.refers += x86_refers(&insn, !narrow);
	count.calls += x86_kind(&insn) == X86_CALL || x86_kind(&insn) == X86_CALL_INDIRECT;
	for (int k = 0; k < states || (form && form->branch && form->ways != 3 && k < MORE_STATES); k++) {
		prepare(&start, k % 4, known ? &in : NULL, ops);
		machine_run(&in_place, &start, &one);
		count.faults += in_place.signal > 0;
		if (!in_place.signal)
			ways |= in_place.regs.rip == at + insn.len ? 1 : 2;
		run_ways(&c, &one, &many, branches, k);
		if (form)
			form->ways |= ways;
	}
	return NULL;
}
