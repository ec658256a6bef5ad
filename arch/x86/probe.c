/* SPDX-License-Identifier: MIT */
/* x86, both widths: decoding for the planner, with Zydis; see ../probe.h. */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "move.h"
#include "probe-insn.h"

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
	if (op >= 0x40 && op < 0x50)	/* inc, dec; prefixes where words are wide */
		return bit(op & 7);
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
	case 0x63: case 0x8a:		/* half of a word, a byte; arpl, which changes its operand */
		if (!p->wide && op == 0x63)
			return rm_bit(in);
		return rm_bit(in) ? bit(modrm_reg(in)) : 0;
	case 0x8d:			/* lea of what is relative to it: as good as a constant */
		return probe_refers(p, in) ? 0 : bit(modrm_reg(in));
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

enum probe_kind probe_kind_of(const ZydisDecodedInstruction *in)
{
	switch (in->meta.category) {
	case ZYDIS_CATEGORY_CALL:
		if (in->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
			return PROBE_PLAIN;
		return probe_is_relative(in) ? PROBE_CALL : PROBE_CALL_INDIRECT;
	case ZYDIS_CATEGORY_UNCOND_BR:
		if (in->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
			return PROBE_STOP;
		return probe_is_relative(in) ? PROBE_JUMP : PROBE_JUMP_INDIRECT;
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

	if (!probe_zydis(p, code, avail, &in))
		return false;
	next = vaddr + in.length;
	*insn = (struct probe_insn){ .len = in.length, .kind = (u8)probe_kind_of(&in) };
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
	if (probe_is_relative(&in))
		insn->target = probe_clip(p, next + (u64)in.raw.imm[0].value.s);
	else if (in.raw.imm[0].size >= 32)
		insn->number[0] = in.raw.imm[0].size == 32 ? (u32)in.raw.imm[0].value.u :
							     in.raw.imm[0].value.u;
	if (probe_refers(p, &in))
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

const char *probe_move(struct probe *p, const u8 *code, size_t avail, u64 size, u64 vaddr,
		       unsigned int need, struct probe_copy *copy)
{
	const struct x86_refusal *why = x86_move(p->wide, code, avail, size, vaddr, need, copy);

	return why ? why->first : NULL;
}

bool probe_is_pc_thunk(const struct probe *p, const u8 *code, size_t avail)
{
	/* mov (%esp), REGISTER; ret */
	return !p->wide && avail >= 4 && code[0] == 0x8b && (code[1] & 0xc7) == 0x04 &&
	       code[2] == 0x24 && code[3] == 0xc3;
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
