/* SPDX-License-Identifier: MIT */
/* x86, both widths: decoding for the planner, with Zydis; see ../probe.h. */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "../probe.h"

struct probe {
	ZydisDecoder decoder;
	bool wide;
};

struct probe *probe_open(u16 machine, bool wide)
{
	struct probe *p;

	if (machine != (wide ? EM_X86_64 : EM_386))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->wide = wide;
	ZydisDecoderInit(&p->decoder,
			 wide ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LONG_COMPAT_32,
			 wide ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
	return p;
}

void probe_close(struct probe *p)
{
	free(p);
}

const struct probe_entry *probe_entry(const struct probe *p)
{
	static const struct probe_entry entry[2] = {
		{ .cfa_reg = 4, .ra_reg = 8, .cfa_offset = 4, .ra_offset = -4 },	/* esp, eip */
		{ .cfa_reg = 7, .ra_reg = 16, .cfa_offset = 8, .ra_offset = -8 },	/* rsp, rip */
	};

	return &entry[p->wide];
}

/* ---- one instruction ---- */

static bool decode(struct probe *p, const u8 *code, size_t avail, ZydisDecodedInstruction *in)
{
	ZydisDecoderContext context;

	return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&p->decoder, &context, code, avail, in));
}

static u64 clip(const struct probe *p, u64 addr)
{
	return p->wide ? addr : (u32)addr;
}

static bool is_relative(const ZydisDecodedInstruction *in)
{
	return in->raw.imm[0].size && in->raw.imm[0].is_relative;
}

/* rip plus a displacement; there is no such thing in 32-bit code. */
static bool refers(const struct probe *p, const ZydisDecodedInstruction *in)
{
	return p->wide && in->attributes & ZYDIS_ATTRIB_HAS_MODRM && in->raw.modrm.mod == 0 &&
	       in->raw.modrm.rm == 5 && in->raw.disp.size == 32;
}

static u8 modrm_reg(const ZydisDecodedInstruction *in)
{
	return (u8)(in->raw.modrm.reg | (in->raw.rex.R ? 8 : 0));
}

static u8 modrm_rm(const ZydisDecodedInstruction *in)
{
	return (u8)(in->raw.modrm.rm | (in->raw.rex.B ? 8 : 0));
}

static u16 bit(u8 reg)
{
	return (u16)(1 << reg);
}

static u16 rm_bit(const ZydisDecodedInstruction *in)
{
	return in->raw.modrm.mod == 3 ? bit(modrm_rm(in)) : 0;
}

#define UNNAMED (1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 7)	/* without ModRM: any of these */

static u16 computes_by_opcode(const struct probe *p, const ZydisDecodedInstruction *in)
{
	u8 op = in->opcode, reg = in->raw.modrm.reg;

	if (op < 0x38) {		/* add ... xor; of a register with itself: a constant */
		if ((op >= 0x30 && op < 0x34) && rm_bit(in) == bit(modrm_reg(in)))
			return 0;
		return (op & 7) < 2 ? rm_bit(in) : (op & 7) < 4 ? bit(modrm_reg(in)) : 1;
	}
	if (op < 0x3e)			/* cmp */
		return 0;
	if (op >= 0x50 && op < 0x60)	/* push, pop */
		return 0;
	if (op >= 0xb8 && op < 0xc0)	/* mov $imm */
		return 0;
	switch (op) {
	case 0x68: case 0x6a: case 0x84: case 0x85: case 0xa8: case 0xa9: case 0x90:
		return 0;
	case 0x80: case 0x81: case 0x83:
		return reg == 7 ? 0 : rm_bit(in);
	case 0xf6: case 0xf7:
		return reg < 2 ? 0 : reg < 4 ? rm_bit(in) : UNNAMED;
	case 0xc7:			/* mov $imm */
		return 0;
	case 0x88: case 0xc0: case 0xc1: case 0xc6: case 0xd0: case 0xd1: case 0xd2: case 0xd3:
	case 0xfe: case 0xff:
		return rm_bit(in);
	case 0x89: case 0x8b:		/* a word as it was; half of one is no address until more is done */
		return 0;
	case 0x63: case 0x8a:		/* half of a word, a byte */
		return rm_bit(in) ? bit(modrm_reg(in)) : 0;
	case 0x8d:			/* lea of what is relative to it: as good as a constant */
		return refers(p, in) ? 0 : bit(modrm_reg(in));
	case 0x69: case 0x6b:
		return bit(modrm_reg(in));
	}
	if (!(in->attributes & ZYDIS_ATTRIB_HAS_MODRM))
		return UNNAMED;
	return (u16)(bit(modrm_reg(in)) | rm_bit(in) | UNNAMED);
}

/*
 * General registers that may get a computed value: rather too many. What a call leaves in them is
 * somebody else's, a word as good as any.
 */
static u16 computes(const struct probe *p, const ZydisDecodedInstruction *in)
{
	u8 op = in->opcode;

	if (in->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE ||
	    in->meta.category == ZYDIS_CATEGORY_SYSCALL)
		return 0;
	if (in->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return in->attributes & ZYDIS_ATTRIB_HAS_MODRM ?
		       (u16)(bit(modrm_reg(in)) | rm_bit(in)) : 0;
	if (in->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT)
		return computes_by_opcode(p, in);
	if (in->opcode_map == ZYDIS_OPCODE_MAP_0F) {
		if (op == 0x1e || op == 0x1f || op == 0xa3)
			return 0;
		if (op >= 0x90 && op < 0xa0)	/* setcc */
			return rm_bit(in);
		if ((op & 0xf6) == 0xb6)	/* movzx, movsx */
			return rm_bit(in) ? bit(modrm_reg(in)) : 0;
		if ((op >= 0x40 && op < 0x50) || op == 0xaf)
			return bit(modrm_reg(in));
		if (op >= 0x10 && op < 0x80)	/* mostly of vector registers */
			return (u16)(bit(modrm_reg(in)) | rm_bit(in));
	}
	return (u16)(bit(modrm_reg(in)) | rm_bit(in) | UNNAMED);
}

/* mov REGISTER, REGISTER */
static bool copies(const ZydisDecodedInstruction *in, u8 *from, u8 *to)
{
	if (in->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT || (in->opcode | 2) != 0x8b ||
	    in->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || in->raw.modrm.mod != 3)
		return false;
	*from = in->opcode & 2 ? modrm_rm(in) : modrm_reg(in);
	*to = in->opcode & 2 ? modrm_reg(in) : modrm_rm(in);
	return true;
}

static enum probe_kind kind_of(const ZydisDecodedInstruction *in)
{
	switch (in->meta.category) {
	case ZYDIS_CATEGORY_CALL:
		if (in->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
			return PROBE_PLAIN;
		return is_relative(in) ? PROBE_CALL : PROBE_CALL_INDIRECT;
	case ZYDIS_CATEGORY_UNCOND_BR:
		if (in->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
			return PROBE_STOP;
		return is_relative(in) ? PROBE_JUMP : PROBE_JUMP_INDIRECT;
	case ZYDIS_CATEGORY_COND_BR:
		return PROBE_BRANCH;	/* xbegin is one as well */
	case ZYDIS_CATEGORY_RET:
		return PROBE_RETURN;
	default:
		break;
	}
	switch (in->mnemonic) {
	case ZYDIS_MNEMONIC_NOP:
	case ZYDIS_MNEMONIC_INT3:
		return PROBE_PADDING;
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
		return PROBE_STOP;
	case ZYDIS_MNEMONIC_XCHG:	/* 66 90, if Zydis does not call it a nop */
		if (in->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && in->opcode == 0x90 &&
		    !in->raw.rex.B && !in->raw.rex.W)
			return PROBE_PADDING;
		return PROBE_PLAIN;
	default:
		return PROBE_PLAIN;
	}
}

#define CONDITION_FLAGS	(ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF | ZYDIS_CPUFLAG_ZF | \
			 ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF)

bool probe_decode(struct probe *p, const u8 *code, size_t avail, u64 vaddr,
		  struct probe_insn *insn)
{
	ZydisDecodedInstruction in;
	u64 next;

	if (!decode(p, code, avail, &in))
		return false;
	next = vaddr + in.length;
	*insn = (struct probe_insn){ .len = in.length, .kind = (u8)kind_of(&in) };
	if (in.cpu_flags) {
		insn->reads = in.cpu_flags->tested & CONDITION_FLAGS;
		insn->writes = (in.cpu_flags->modified | in.cpu_flags->set_0 |
				in.cpu_flags->set_1 | in.cpu_flags->undefined) & CONDITION_FLAGS;
	}
	switch (in.mnemonic) {
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_PUSHFD:
	case ZYDIS_MNEMONIC_PUSHFQ:
		insn->reads = CONDITION_FLAGS;
		break;
	default:
		break;
	}
	if (is_relative(&in))
		insn->target = clip(p, next + (u64)in.raw.imm[0].value.s);
	else if (in.raw.imm[0].size >= 32)
		insn->number[0] = in.raw.imm[0].size == 32 ? (u32)in.raw.imm[0].value.u :
							     in.raw.imm[0].value.u;
	if (refers(p, &in))
		insn->ref = next + (u64)in.raw.disp.value;
	else if (in.raw.disp.size == 32)
		insn->number[1] = (u32)in.raw.disp.value;
	insn->trap = in.mnemonic == ZYDIS_MNEMONIC_INT3;
	insn->takes = in.mnemonic == ZYDIS_MNEMONIC_LEA;
	insn->computes = computes(p, &in);
	insn->copy_from = insn->copy_to = PROBE_NO_REG;
	copies(&in, &insn->copy_from, &insn->copy_to);
	insn->jump_reg = insn->kind == PROBE_JUMP_INDIRECT && in.raw.modrm.mod == 3 ?
			 modrm_rm(&in) : PROBE_NO_REG;
	return true;
}

bool probe_is_restorer(const u8 *code, size_t avail)
{
	static const u8 wide[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
	static const u8 wide_short[] = { 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 };
	static const u8 narrow[] = { 0xb8, 0xad, 0, 0, 0, 0xcd, 0x80 };
	static const u8 narrow_old[] = { 0x58, 0xb8, 0x77, 0, 0, 0, 0xcd, 0x80 };

#define IS(bytes) (avail >= sizeof(bytes) && !memcmp(code, bytes, sizeof(bytes)))
	return IS(wide) || IS(wide_short) || IS(narrow) || IS(narrow_old);
#undef IS
}

/* ---- moving ---- */

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
	if (m->p->wide) {	/* from a constant behind the copy: nothing pushes 64 bits of an immediate */
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
	if (refers(m->p, in))
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
	if (refers(p, in) && in->attributes & ZYDIS_ATTRIB_HAS_ADDRESSSIZE)
		return "an address of 32 bits relative to itself among its first instructions";
	return NULL;
}

static void move_insn(struct move *m, const ZydisDecodedInstruction *in, const u8 *code)
{
	u64 next = m->vaddr + m->original + in->length;
	u64 target = is_relative(in) ? clip(m->p, next + (u64)in->raw.imm[0].value.s) : 0;

	m->why = immovable(m->p, in);
	if (m->why)
		return;
	switch (kind_of(in)) {
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
		else if (kind_of(in) == PROBE_CALL)
			move_call(m, in, target);
		else
			move_indirect_call(m, in, code);
		return;
	default:
		break;
	}
	begin(m, 0);
	if (refers(m->p, in))
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
		if (from >= avail || !decode(p, code + from, avail - from, &in) ||
		    kind_of(&in) != PROBE_PADDING)
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
		if (!decode(p, code + at, avail - at, &in))
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
