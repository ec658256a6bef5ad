/* SPDX-License-Identifier: MIT */
/* x86, both widths: instructions made ready to run elsewhere; see move.h. */
#include "move.h"

#define REFUSAL(name, first, here)	static const struct x86_refusal name = { first, here }

REFUSAL(too_long, "the copy of its first instructions would be too long", "its copy would be too long");
REFUSAL(calls_stack, "it calls where its stack is", "a call of where the stack is");
REFUSAL(call_below, "a call among its first instructions reads below the stack",
	"a call that reads below the stack");
REFUSAL(system_call, "a system call among its first instructions", "a system call");
REFUSAL(trap, "a trap among its first instructions", "a trap");
REFUSAL(transaction, "a transaction begins among its first instructions", "a transaction begins");
REFUSAL(interrupt_return, "an interrupt's return among its first instructions",
	"an interrupt's return");
REFUSAL(far_branch, "a far branch among its first instructions", "a far branch");
REFUSAL(branch_16, "a branch of 16 bits among its first instructions", "a branch of 16 bits");
REFUSAL(address_32, "an address of 32 bits relative to itself among its first instructions",
	"an address of 32 bits relative to itself");
REFUSAL(returns_inside, "a short call returns to where its first bytes are",
	"a short call returns to where a jump would stand");
REFUSAL(not_understood, "its first instructions are not understood", "it is not understood");
REFUSAL(cut_off, "its first instructions are cut off by its end", "it is cut off by the function's end");
REFUSAL(too_short, "too short, and no padding behind it",
	"too near the function's end, and no padding behind it");

struct move {
	bool wide;
	struct probe_copy *c;
	u64 vaddr;
	unsigned int need;
	u8 original;		/* offset of the instruction that is being moved */
	u8 constant;		/* where the constant's displacement is; 0: there is none */
	const struct x86_refusal *why;
};

static void bytes(struct move *m, const void *data, size_t len)
{
	if (len > FTRACE_COPY_SIZE - m->c->size) {
		m->why = &too_long;
		return;
	}
	ft_memcpy(m->c->bytes + m->c->size, data, len);
	m->c->size += (u8)len;
}

static void byte(struct move *m, u8 value)
{
	bytes(m, &value, 1);
}

/* An instruction of the copy begins here. */
static void begin(struct move *m, u8 pushed)
{
	if (m->c->ninsns == PROBE_MAX_INSNS) {
		m->why = &too_long;
		return;
	}
	m->c->copied[m->c->ninsns++] = (struct ftrace_copied){
		.copy = m->c->size, .original = m->original, .pushed = pushed };
}

static void fixup(struct move *m, u8 at, u8 kind, u8 behind, u64 vaddr)
{
	if (m->c->nfixups == PROBE_MAX_FIXUPS) {
		m->why = &too_long;
		return;
	}
	m->c->fixup[m->c->nfixups++] = (struct ftrace_fixup){
		.at = at, .kind = kind, .behind = behind, .vaddr = vaddr };
}

/* The 32-bit displacement that ends a branch to @vaddr. */
static void displacement(struct move *m, u64 vaddr)
{
	static const u8 zero[4];

	fixup(m, m->c->size, FTRACE_FIXUP_REL32, 0, vaddr);
	bytes(m, zero, 4);
}

static void jump(struct move *m, u64 target)
{
	byte(m, 0xe9);
	displacement(m, target);
}

/* Push what a call at this place would: the address behind it. */
static void push_return(struct move *m, u8 len)
{
	static const u8 push_memory[] = { 0xff, 0x35, 0, 0, 0, 0 }, zero[4];

	begin(m, 0);
	if (m->wide) {	/* from a constant behind the copy: no immediate has 64 bits */
		bytes(m, push_memory, sizeof(push_memory));
		m->constant = m->c->size - 4;
	} else {
		byte(m, 0x68);
		fixup(m, m->c->size, FTRACE_FIXUP_ABS32, 0, m->vaddr + m->original + len);
		bytes(m, zero, 4);
	}
}

/* jcc, loop, jrcxz */
static void move_branch(struct move *m, const struct x86_insn *in, const u8 *code, u64 target)
{
	begin(m, 0);
	if (in->map == X86_MAP_1 && in->opcode >= 0xe0) {	/* loop, jrcxz */
		/* These reach 127 bytes only: over a jump that is jumped over otherwise. */
		bytes(m, code, in->len - 1u);
		byte(m, 2);
		begin(m, 0);
		byte(m, 0xeb);
		byte(m, 5);
		begin(m, 0);
		jump(m, target);
		return;
	}
	byte(m, 0x0f);
	byte(m, 0x80 | (in->opcode & 0x0f));
	displacement(m, target);
}

/* `call *operand`, to become a push and `jmp *operand`, which sees a stack one word deeper. */
static void move_indirect_call(struct move *m, const struct x86_insn *in, const u8 *code)
{
	u8 at = in->modrm_at, word = m->wide ? 8 : 4;
	bool sib = in->has_sib;
	u8 base = (sib ? in->sib & 7 : x86_rm(in)) | (in->rex & 1 ? 8 : 0);
	u8 modrm = (u8)((code[at] & ~0x38) | 0x20);
	s64 disp = in->disp;

	if (x86_mod(in) == 3 && base == 4) {
		m->why = &calls_stack;
		return;
	}
	/* What the push would write over before the jump reads it. (Base 5 in mode 0 is none.) */
	if (x86_mod(in) != 3 && disp < 0 &&
	    (base == 4 || (base == 5 && x86_mod(in) != 0))) {
		m->why = &call_below;
		return;
	}
	push_return(m, in->len);
	begin(m, word);
	if (x86_refers(in, m->wide))
		fixup(m, (u8)(m->c->size + in->disp_at), FTRACE_FIXUP_REL32,
		      (u8)(in->len - in->disp_at - 4), m->vaddr + m->original +
		      in->len + (u64)disp);
	if (!sib || base != 4) {
		bytes(m, code, at);
		byte(m, modrm);
		bytes(m, code + at + 1, in->len - at - 1u);
		return;
	}
	disp += word;
	bytes(m, code, at);
	byte(m, (u8)((modrm & 0x3f) | (disp <= 127 ? 0x40 : 0x80)));
	byte(m, code[at + 1]);
	bytes(m, &disp, disp <= 127 ? 1 : 4);
}

static void move_call(struct move *m, const struct x86_insn *in, u64 target)
{
	push_return(m, in->len);
	begin(m, m->wide ? 8 : 4);
	jump(m, target);
}

static const struct x86_refusal *immovable(const struct x86_insn *in, bool wide)
{
	if (in->map == X86_MAP_1) {
		switch (in->opcode) {
		case 0xcd:
			return &system_call;
		case 0xcc: case 0xf1: case 0xce: case 0xf4:	/* int3, int1, into, hlt */
			return &trap;
		case 0xcf:
			return &interrupt_return;
		case 0x9a: case 0xea: case 0xca: case 0xcb:
			return &far_branch;
		case 0xff:
			if (x86_reg(in) == 3 || x86_reg(in) == 5)
				return &far_branch;
			break;
		case 0xc7:
			if (in->modrm == 0xf8)
				return &transaction;
			break;
		}
	} else if (in->map == X86_MAP_0F) {
		switch (in->opcode) {
		case 0x05: case 0x34:			/* rcx tells where it was */
			return &system_call;
		case 0x0b: case 0xb9: case 0xff:	/* ud2, ud1, ud0 */
			return &trap;
		case 0x07: case 0x35:
			return &interrupt_return;
		}
	}
	/* That is none, which its copy, written anew, would not be. */
	if (x86_kind(in) != X86_PLAIN && in->lock)
		return &not_understood;
	/* 66 makes AMD's and Intel's processors disagree, unless REX.W overrides it. */
	if (x86_kind(in) != X86_PLAIN && in->opsize && !(wide && in->rex & 8))
		return &branch_16;
	if (x86_refers(in, wide) && in->addrsize)
		return &address_32;
	return NULL;
}

static void move_insn(struct move *m, const struct x86_insn *in, const u8 *code)
{
	u64 next = m->vaddr + m->original + in->len;
	u64 target = x86_target(in, m->wide, next - in->len);

	m->why = immovable(in, m->wide);
	if (m->why)
		return;
	switch (x86_kind(in)) {
	case X86_JUMP:
		begin(m, 0);
		jump(m, target);
		return;
	case X86_BRANCH:
		move_branch(m, in, code, target);
		return;
	case X86_CALL:
	case X86_CALL_INDIRECT:
		/* Its return address must not be where a jump will stand. */
		if (m->original + in->len < m->need)
			m->why = &returns_inside;
		else if (x86_kind(in) == X86_CALL)
			move_call(m, in, target);
		else
			move_indirect_call(m, in, code);
		return;
	default:
		break;
	}
	begin(m, 0);
	if (x86_refers(in, m->wide))
		fixup(m, (u8)(m->c->size + in->disp_at), FTRACE_FIXUP_REL32,
		      (u8)(in->len - in->disp_at - 4), next + (u64)in->disp);
	bytes(m, code, in->len);
}

/* The jump back, and the constant that a call pushes. */
static void finish(struct move *m)
{
	static const u8 zero[8];
	u8 disp;

	m->original = m->c->moved;
	begin(m, 0);
	jump(m, m->vaddr + m->c->moved);
	if (!m->constant || m->why)
		return;
	disp = m->c->size - (m->constant + 4);
	m->c->bytes[m->constant] = disp;
	fixup(m, m->c->size, FTRACE_FIXUP_ABS64, 0, m->vaddr + m->c->moved);
	bytes(m, zero, 8);
}

static bool is_padding(const struct x86_insn *in, const u8 *code)
{
	if (in->map == X86_MAP_0F)
		return in->opcode == 0x1f;
	return in->map == X86_MAP_1 &&
	       (in->opcode == 0xcc || (in->opcode == 0x90 && !(in->rex & 1) && code[0] != 0xf3));
}

/* Is nothing but padding in [@from, @to)? */
static bool padding(const u8 *code, size_t avail, size_t from, size_t to, bool wide)
{
	struct x86_insn in;

	while (from < to) {
		if (from >= avail || !x86_decode(&in, code + from, avail - from, wide) ||
		    !is_padding(&in, code + from))
			return false;
		from += in.len;
	}
	return true;
}

const struct x86_refusal *x86_move(bool wide, const u8 *code, size_t avail, u64 size, u64 vaddr,
				   unsigned int need, struct probe_copy *copy)
{
	struct move m = { .wide = wide, .c = copy, .vaddr = vaddr, .need = need };
	struct x86_insn in;
	size_t at = 0;

	ft_memset(copy, 0, sizeof(*copy));
	while (at < need && at < size) {
		if (!x86_decode(&in, code + at, avail - at, wide))
			return &not_understood;
		if (at + in.len > size)
			return &cut_off;
		m.original = (u8)at;
		move_insn(&m, &in, code + at);
		if (m.why)
			return m.why;
		at += in.len;
	}
	if (at < need) {
		if (!padding(code, avail, at, need, wide))
			return &too_short;
		at = need;
	}
	copy->moved = (u8)at;
	finish(&m);
	return m.why;
}
