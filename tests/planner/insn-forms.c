/* SPDX-License-Identifier: MIT */
/* What one form of instructions is, and states in which its operands lead to memory; see run-insns.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run-insns.h"

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

u64 form_key(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *ops)
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

struct form *form_of(u64 key)
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

bool decode(unsigned long at, size_t avail, ZydisDecodedInstruction *in, ZydisDecodedOperand *ops)
{
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, (const void *)at, avail, in, ops));
}

/* ---- which cannot be compared this way ---- */

static bool is_bit_test(const ZydisDecodedInstruction *in)
{
	return in->mnemonic == ZYDIS_MNEMONIC_BT || in->mnemonic == ZYDIS_MNEMONIC_BTS ||
	       in->mnemonic == ZYDIS_MNEMONIC_BTR || in->mnemonic == ZYDIS_MNEMONIC_BTC;
}

const char *unpredictable(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *ops)
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

void prepare(struct state *s, int kind, const ZydisDecodedInstruction *in, const ZydisDecodedOperand *ops)
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
