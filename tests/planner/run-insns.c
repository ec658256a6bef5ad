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
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <Zydis/Zydis.h>

#include <ftrace/ptrace.h>

#include "arch/x86/move.h"
#include "engine/detour.h"
#include "machine.h"
#include "planner/planner.h"

#define DETOUR		copies			/* the one that is made anew for each */
#define CALLED		(copies + 0x30000)	/* what it calls: a return */
#define SCRATCH		(copies + 0x31000)	/* where random bytes are "in place" */
#define MORE_STATES	60			/* for a branch that has gone one way only */
#define KEPT_MAX	64

static int states = 4, wrong;
static ZydisDecoder decoder;

static struct {
	unsigned long instructions, forms, unclaimed, skipped, tried, runs, faults, endless, refers, calls, branches,
		      both_ways, slot, jump, post, done, mismatches;
} count;

/* ---- forms ---- */

struct form {
	u64 key;		/* 0: free */
	unsigned long seen;
	u64 at[KEPT_MAX];	/* instances taken */
	u8 branch;		/* 1: may go on behind it, or not */
	u8 ways;		/* which of these it did */
	bool claimed, unclaimed;
};

#define FORMS	(1u << 16)
static struct form *forms;

static u64 mix(u64 h, u64 v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

static bool is_sp(ZydisRegister reg)
{
	return ZydisRegisterGetLargestEnclosing(decoder.machine_mode, reg) ==
	       (narrow ? ZYDIS_REGISTER_ESP : ZYDIS_REGISTER_RSP);
}

static u64 operand_key(u64 h, const ZydisDecodedOperand *op)
{
	h = mix(h, (u64)op->type << 32 | (u64)op->size << 8 | op->element_type);
	switch (op->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return mix(h, (u64)ZydisRegisterGetClass(op->reg.value) << 1 | is_sp(op->reg.value));
	case ZYDIS_OPERAND_TYPE_MEMORY:
		h = mix(h, op->mem.type);
		h = mix(h, op->mem.base == ZYDIS_REGISTER_NONE ? 0 : op->mem.base == ZYDIS_REGISTER_RIP ? 1 :
			   is_sp(op->mem.base) ? 2 : 3 + (u64)ZydisRegisterGetClass(op->mem.base));
		h = mix(h, (u64)ZydisRegisterGetClass(op->mem.index) << 8 | op->mem.scale);
		return mix(h, op->mem.segment == ZYDIS_REGISTER_FS || op->mem.segment == ZYDIS_REGISTER_GS);
	default:
		return h;
	}
}

static u64 form_key(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *ops)
{
	u64 h = mix(1, in->mnemonic);

	h = mix(h, (u64)in->encoding << 24 | (u64)in->opcode_map << 16 | in->opcode);
	h = mix(h, in->attributes & (ZYDIS_ATTRIB_HAS_LOCK | ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
				     ZYDIS_ATTRIB_HAS_REPNE | ZYDIS_ATTRIB_HAS_BND | ZYDIS_ATTRIB_HAS_NOTRACK |
				     ZYDIS_ATTRIB_HAS_OPERANDSIZE | ZYDIS_ATTRIB_HAS_ADDRESSSIZE |
				     ZYDIS_ATTRIB_HAS_SEGMENT));
	h = mix(h, (u64)in->raw.modrm.mod << 16 | (u64)in->raw.disp.size << 8 | in->raw.imm[0].size);
	for (u8 i = 0; i < in->operand_count; i++)
		h = operand_key(h, &ops[i]);
	return h | 1;
}

static struct form *form_of(u64 key)
{
	u32 i = (u32)(key >> 40) % FORMS;

	while (forms[i].key && forms[i].key != key)
		i = (i + 1) % FORMS;
	if (!forms[i].key && ++count.forms > FORMS / 2) {
		fprintf(stderr, "more forms than expected\n");
		exit(2);
	}
	forms[i].key = key;
	return &forms[i];
}

static bool decode(unsigned long at, size_t avail, ZydisDecodedInstruction *in, ZydisDecodedOperand *ops)
{
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, (const void *)at, avail, in, ops));
}

/* ---- which cannot be compared this way ---- */

static bool is_bit_test(const ZydisDecodedInstruction *in)
{
	return in->mnemonic == ZYDIS_MNEMONIC_BT || in->mnemonic == ZYDIS_MNEMONIC_BTS ||
	       in->mnemonic == ZYDIS_MNEMONIC_BTR || in->mnemonic == ZYDIS_MNEMONIC_BTC;
}

static const char *unpredictable(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *ops)
{
	if (is_bit_test(in) && ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
	    ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER && is_sp(ops[1].reg.value))
		return "it accesses a bit as far away as the stack is";
	switch (in->mnemonic) {
	case ZYDIS_MNEMONIC_RDTSC: case ZYDIS_MNEMONIC_RDTSCP: case ZYDIS_MNEMONIC_RDPMC:
	case ZYDIS_MNEMONIC_RDRAND: case ZYDIS_MNEMONIC_RDSEED: case ZYDIS_MNEMONIC_CPUID:
	case ZYDIS_MNEMONIC_RDPID: case ZYDIS_MNEMONIC_RDPRU:
		return "its result cannot be foretold";
	case ZYDIS_MNEMONIC_VMCALL: case ZYDIS_MNEMONIC_VMMCALL:
		return "the hypervisor is called";
	case ZYDIS_MNEMONIC_SLDT: case ZYDIS_MNEMONIC_STR: case ZYDIS_MNEMONIC_SGDT: case ZYDIS_MNEMONIC_SIDT:
	case ZYDIS_MNEMONIC_SMSW:
		return "the kernel may do it, and no step ends behind it";
	case ZYDIS_MNEMONIC_MONITORX: case ZYDIS_MNEMONIC_MWAITX: case ZYDIS_MNEMONIC_UMONITOR:
	case ZYDIS_MNEMONIC_UMWAIT: case ZYDIS_MNEMONIC_TPAUSE:
		return "it waits";
	default:
		break;
	}
	for (u8 i = 0; i < in->operand_count; i++) {
		const ZydisDecodedOperand *op = &ops[i];

		if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && op->reg.value == ZYDIS_REGISTER_SS &&
		    op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
			return "no step ends behind it";
		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.base == ZYDIS_REGISTER_RIP &&
		    (op->size > 8 * WINDOW || in->meta.category == ZYDIS_CATEGORY_XSAVE ||
		     in->meta.category == ZYDIS_CATEGORY_XSAVEOPT))
			return "its operand is larger than what is looked at";
		/* A detour writes there, as signals do. */
		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && is_sp(op->mem.base) && op->mem.disp.value < -128)
			return "it accesses memory below the red zone";
	}
	return NULL;
}

/* ---- memory operands are led to memory ---- */

static unsigned long long *reg_of(struct user_regs_struct *r, ZydisRegister reg)
{
	unsigned long long *all[16] = { &r->rax, &r->rcx, &r->rdx, &r->rbx, NULL, &r->rbp, &r->rsi, &r->rdi,
					&r->r8, &r->r9, &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15 };
	ZydisRegisterClass class = ZydisRegisterGetClass(reg);
	ZyanI8 id = ZydisRegisterGetId(reg);

	if ((class != ZYDIS_REGCLASS_GPR64 && class != ZYDIS_REGCLASS_GPR32) || id < 0 || id > 15)
		return NULL;
	return all[id];
}

/* Words of an index that is a vector: small. */
static void small_vector(struct state *s, ZydisRegister reg)
{
	u32 n = (u32)ZydisRegisterGetId(reg), size;
	u8 *part[] = { n < 16 ? s->xstate + 160 + 16 * n : NULL, NULL, NULL };
	const u32 bytes[] = { 16, 16, 32 };
	u8 *ymm = machine_component(s, 2, &size), *zmm = machine_component(s, 6, &size),
	   *more = machine_component(s, 7, &size);

	part[1] = ymm && n < 16 ? ymm + 16 * n : NULL;
	part[2] = zmm && n < 16 ? zmm + 32 * n : NULL;
	for (u32 i = 0; i < 3; i++)
		for (u32 k = 0; part[i] && k < bytes[i]; k += 4)
			memset(part[i] + k, 0, 4), part[i][k] = (u8)rnd() & 0x7f;
	for (u32 k = 0; n >= 16 && more && k < 64; k += 4)
		memset(more + 64 * (n - 16) + k, 0, 4), more[64 * (n - 16) + k] = (u8)rnd() & 0x7f;
}

static void aim(struct state *s, const ZydisDecodedOperand *op, int kind)
{
	unsigned long long *b = reg_of(&s->regs, op->mem.base), *x = reg_of(&s->regs, op->mem.index);
	unsigned long long to = machine_pointer() & ~(kind ? 7ull : 63ull), small = rnd() % 16 * 64;

	to -= (unsigned long long)op->mem.disp.value;
	if (!narrow && (op->mem.segment == ZYDIS_REGISTER_FS || op->mem.segment == ZYDIS_REGISTER_GS))
		to -= s->regs.fs_base;
	if (op->mem.type == ZYDIS_MEMOP_TYPE_VSIB)
		small_vector(s, op->mem.index);
	if (b && x == b) {
		to /= 1ull + op->mem.scale;
	} else if (x && b) {
		*x = small;
		to -= small * op->mem.scale;
	} else if (x) {
		b = x;
		to /= op->mem.scale;
	}
	if (b)
		*b = narrow ? (u32)to : to;
}

static void prepare(struct state *s, int kind, const ZydisDecodedInstruction *in, const ZydisDecodedOperand *ops)
{
	machine_state(s, kind);
	for (u8 i = 0; kind < 3 && in && i < in->operand_count; i++)
		if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY && ops[i].visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN)
			aim(s, &ops[i], kind);
	/* The number of a bit leads far away from its operand. */
	if (in && is_bit_test(in) && ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
	    ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
		unsigned long long *bit = reg_of(&s->regs, ZydisRegisterGetLargestEnclosing(decoder.machine_mode,
											  ops[1].reg.value));

		if (bit && bit != reg_of(&s->regs, ops[0].mem.base))
			*bit = rnd() % 64;
	}
}

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

static void on_fault(int sig)
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
static const char *try(unsigned long at, size_t avail, u64 size, struct form *form)
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
