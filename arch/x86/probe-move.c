/* SPDX-License-Identifier: MIT */
/* x86, both widths: a function's first instructions, made ready to run elsewhere; see ../probe.h. */
#include <string.h>

#include "probe-insn.h"

struct move {
	const struct probe *p;
	struct probe_copy *c;
	u64 vaddr;
	unsigned int need;
	u8 original;		/* offset of the instruction that is being moved */
	u8 constant;		/* where the constant's displacement is; 0: there is none */
	const char *why;
};

static void bytes(struct move *m, const void *data, size_t len)
{
	if (len > FTRACE_COPY_SIZE - m->c->size) {
		m->why = "the copy of its first instructions would be too long";
		return;
	}
	memcpy(m->c->bytes + m->c->size, data, len);
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
		m->why = "the copy of its first instructions would be too long";
		return;
	}
	m->c->copied[m->c->ninsns++] = (struct ftrace_copied){
		.copy = m->c->size, .original = m->original, .pushed = pushed };
}

static void fixup(struct move *m, u8 at, u8 kind, u8 behind, u64 vaddr)
{
	if (m->c->nfixups == PROBE_MAX_FIXUPS) {
		m->why = "the copy of its first instructions would be too long";
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
	if (m->p->wide) {	/* from a constant behind the copy: no immediate has 64 bits */
		bytes(m, push_memory, sizeof(push_memory));
		m->constant = m->c->size - 4;
	} else {
		byte(m, 0x68);
		fixup(m, m->c->size, FTRACE_FIXUP_ABS32, 0, m->vaddr + m->original + len);
		bytes(m, zero, 4);
	}
}

/* jcc, loop, jrcxz */
static void move_branch(struct move *m, const ZydisDecodedInstruction *in, const u8 *code, u64 target)
{
	begin(m, 0);
	if (in->mnemonic == ZYDIS_MNEMONIC_LOOP || in->mnemonic == ZYDIS_MNEMONIC_LOOPE ||
	    in->mnemonic == ZYDIS_MNEMONIC_LOOPNE || in->mnemonic == ZYDIS_MNEMONIC_JCXZ ||
	    in->mnemonic == ZYDIS_MNEMONIC_JECXZ || in->mnemonic == ZYDIS_MNEMONIC_JRCXZ) {
		/* These reach 127 bytes only: over a jump that is jumped over otherwise. */
		bytes(m, code, in->length - 1u);
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
static void move_indirect_call(struct move *m, const ZydisDecodedInstruction *in, const u8 *code)
{
	u8 at = in->raw.modrm.offset, word = m->p->wide ? 8 : 4;
	bool sib = in->raw.modrm.mod != 3 && in->raw.modrm.rm == 4;
	u8 base = sib ? in->raw.sib.base | (in->raw.rex.B ? 8 : 0) :
			in->raw.modrm.rm | (in->raw.rex.B ? 8 : 0);
	u8 modrm = (u8)((code[at] & ~0x38) | 0x20);
	s64 disp = in->raw.disp.size ? in->raw.disp.value : 0;

	if (in->raw.modrm.mod == 3 && base == 4) {
		m->why = "it calls where its stack is";
		return;
	}
	/* What the push would write over before the jump reads it. (Base 5 in mode 0 is none.) */
	if (in->raw.modrm.mod != 3 && disp < 0 &&
	    (base == 4 || (base == 5 && in->raw.modrm.mod != 0))) {
		m->why = "a call among its first instructions reads below the stack";
		return;
	}
	push_return(m, in->length);
	begin(m, word);
	if (probe_refers(m->p, in))
		fixup(m, (u8)(m->c->size + in->raw.disp.offset), FTRACE_FIXUP_REL32,
		      (u8)(in->length - in->raw.disp.offset - 4), m->vaddr + m->original +
		      in->length + (u64)disp);
	if (!sib || base != 4) {
		bytes(m, code, at);
		byte(m, modrm);
		bytes(m, code + at + 1, in->length - at - 1u);
		return;
	}
	disp += word;
	bytes(m, code, at);
	byte(m, (u8)((modrm & 0x3f) | (disp <= 127 ? 0x40 : 0x80)));
	byte(m, code[at + 1]);
	bytes(m, &disp, disp <= 127 ? 1 : 4);
}

static void move_call(struct move *m, const ZydisDecodedInstruction *in, u64 target)
{
	push_return(m, in->length);
	begin(m, m->p->wide ? 8 : 4);
	jump(m, target);
}

static const char *immovable(const struct probe *p, const ZydisDecodedInstruction *in)
{
	switch (in->mnemonic) {
	case ZYDIS_MNEMONIC_SYSCALL:	/* rcx tells where it was */
	case ZYDIS_MNEMONIC_SYSENTER:
	case ZYDIS_MNEMONIC_INT:
		return "a system call among its first instructions";
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_INT1:
	case ZYDIS_MNEMONIC_INTO:
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
		return "a trap among its first instructions";
	case ZYDIS_MNEMONIC_XBEGIN:
		return "a transaction begins among its first instructions";
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_SYSRET:
	case ZYDIS_MNEMONIC_SYSEXIT:
		return "an interrupt's return among its first instructions";
	default:
		break;
	}
	if (in->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return "a far branch among its first instructions";
	/* 66 makes AMD's and Intel's processors disagree, unless REX.W overrides it. */
	if (in->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE &&
	    in->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE && !(p->wide && in->raw.rex.W))
		return "a branch of 16 bits among its first instructions";
	if (probe_refers(p, in) && in->attributes & ZYDIS_ATTRIB_HAS_ADDRESSSIZE)
		return "an address of 32 bits relative to itself among its first instructions";
	return NULL;
}

static void move_insn(struct move *m, const ZydisDecodedInstruction *in, const u8 *code)
{
	u64 next = m->vaddr + m->original + in->length;
	u64 target = probe_is_relative(in) ? probe_clip(m->p, next + (u64)in->raw.imm[0].value.s) : 0;

	m->why = immovable(m->p, in);
	if (m->why)
		return;
	switch (probe_kind_of(in)) {
	case PROBE_JUMP:
		begin(m, 0);
		jump(m, target);
		return;
	case PROBE_BRANCH:
		move_branch(m, in, code, target);
		return;
	case PROBE_CALL:
	case PROBE_CALL_INDIRECT:
		/* Its return address must not be where a jump will stand. */
		if (m->original + in->length < m->need)
			m->why = "a short call returns to where its first bytes are";
		else if (probe_kind_of(in) == PROBE_CALL)
			move_call(m, in, target);
		else
			move_indirect_call(m, in, code);
		return;
	default:
		break;
	}
	begin(m, 0);
	if (probe_refers(m->p, in))
		fixup(m, (u8)(m->c->size + in->raw.disp.offset), FTRACE_FIXUP_REL32,
		      (u8)(in->length - in->raw.disp.offset - 4), next + (u64)in->raw.disp.value);
	bytes(m, code, in->length);
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

/* Is nothing but padding in [@from, @to)? */
static bool padding(struct probe *p, const u8 *code, size_t avail, size_t from, size_t to)
{
	ZydisDecodedInstruction in;

	while (from < to) {
		if (from >= avail || !probe_zydis(p, code + from, avail - from, &in) ||
		    probe_kind_of(&in) != PROBE_PADDING)
			return false;
		from += in.length;
	}
	return true;
}

const char *probe_move(struct probe *p, const u8 *code, size_t avail, u64 size, u64 vaddr,
		       unsigned int need, struct probe_copy *copy)
{
	struct move m = { .p = p, .c = copy, .vaddr = vaddr, .need = need };
	ZydisDecodedInstruction in;
	size_t at = 0;

	memset(copy, 0, sizeof(*copy));
	while (at < need && at < size) {
		if (!probe_zydis(p, code + at, avail - at, &in))
			return "its first instructions are not understood";
		if (at + in.length > size)
			return "its first instructions are cut off by its end";
		m.original = (u8)at;
		move_insn(&m, &in, code + at);
		if (m.why)
			return m.why;
		at += in.length;
	}
	if (at < need) {
		if (!padding(p, code, avail, at, need))
			return "too short, and no padding behind it";
		at = need;
	}
	copy->moved = (u8)at;
	finish(&m);
	return m.why;
}
