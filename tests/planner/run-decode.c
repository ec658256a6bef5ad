/* SPDX-License-Identifier: MIT */
/*
 * run-decode [-x] [-s SEED] [-n RANDOM] OBJECT...: the decoder of arch/x86/decode.c against Zydis. Every instruction
 * of the objects' executable segments, decoded from one to the next, and RANDOM sequences of random bytes in
 * both widths: where Zydis sees an instruction, length and parts must be the same; and what arch/x86/general.c says
 * leaves vector registers alone must do so by Zydis. Exit status 0: all that is true. -x: it is said of everything, to see
 * that this is noticed.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <Zydis/Zydis.h>

#include "arch/x86/decode.h"
#include "arch/x86/general.h"
#include "engine/elf-file.h"

static ZydisDecoder decoder[2];
static bool everything;
static unsigned long seen, wrong, accepted, general;

static unsigned long long rng_state = 1;

static unsigned long long rnd(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state * 0x2545f4914f6cdd1dull;
}

static bool same(const struct x86_insn *in, const ZydisDecodedInstruction *z)
{
	bool relative = z->raw.imm[0].size && z->raw.imm[0].is_relative;

	if (in->len != z->length || in->relative != relative ||
	    in->has_modrm != !!(z->attributes & ZYDIS_ATTRIB_HAS_MODRM))
		return false;
	if (in->has_modrm && (in->modrm_at != z->raw.modrm.offset || x86_mod(in) != z->raw.modrm.mod ||
			      x86_reg(in) != z->raw.modrm.reg || x86_rm(in) != z->raw.modrm.rm))
		return false;
	if (in->disp_size && (in->disp_size * 8 != z->raw.disp.size ||
			      in->disp_at != z->raw.disp.offset || in->disp != z->raw.disp.value))
		return false;
	if (relative && (in->imm_size * 8 != z->raw.imm[0].size || in->imm_at != z->raw.imm[0].offset ||
			 in->imm != z->raw.imm[0].value.s))
		return false;
	return true;
}

static bool is_near_and_told(const ZydisDecodedInstruction *z)
{
	switch (z->meta.category) {
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_CALL:
		return z->raw.imm[0].is_relative;
	case ZYDIS_CATEGORY_RET:
		return z->meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR;
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSRET:
		return false;
	default:
		return true;
	}
}

/* Does it leave vector registers alone, by Zydis? */
static bool is_general(const ZydisDecodedInstruction *z, const ZydisDecoderContext *context, bool wide)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

	if (z->meta.isa_ext == ZYDIS_ISA_EXT_X87 || z->meta.isa_ext == ZYDIS_ISA_EXT_MMX ||
	    z->meta.category == ZYDIS_CATEGORY_XSAVE || z->meta.category == ZYDIS_CATEGORY_XSAVEOPT ||
	    z->mnemonic == ZYDIS_MNEMONIC_FXRSTOR || z->mnemonic == ZYDIS_MNEMONIC_FXRSTOR64 ||
	    z->mnemonic == ZYDIS_MNEMONIC_XBEGIN || !is_near_and_told(z) ||
	    !ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&decoder[wide], context, z, operands, z->operand_count)))
		return false;
	for (unsigned int i = 0; i < z->operand_count; i++) {
		if (operands[i].type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		switch (ZydisRegisterGetClass(operands[i].reg.value)) {
		case ZYDIS_REGCLASS_X87:
		case ZYDIS_REGCLASS_MMX:
		case ZYDIS_REGCLASS_XMM:
		case ZYDIS_REGCLASS_YMM:
		case ZYDIS_REGCLASS_ZMM:
		case ZYDIS_REGCLASS_MASK:
		case ZYDIS_REGCLASS_TMM:
			return false;
		default:
			break;
		}
		if (operands[i].reg.value == ZYDIS_REGISTER_MXCSR || operands[i].reg.value == ZYDIS_REGISTER_X87CONTROL)
			return false;
	}
	return true;
}

static void print_code(const unsigned char *code, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		printf(" %02x", code[i]);
	printf("\n");
}

/* What is said to be general must be. */
static void compare_general(const struct x86_insn *in, const ZydisDecodedInstruction *z,
			    const ZydisDecoderContext *context, const unsigned char *code, bool wide)
{
	if (!everything && !x86_is_general(in, wide))
		return;
	general++;
	if (is_general(z, context, wide) || wrong++ >= 20)
		return;
	printf("# %s, taken for general: %s", wide ? "64" : "32", ZydisMnemonicGetString(z->mnemonic));
	print_code(code, z->length);
}

/* The length Zydis sees, 0: none. */
static unsigned int compare(const unsigned char *code, size_t avail, bool wide)
{
	ZydisDecodedInstruction z;
	ZydisDecoderContext context;
	struct x86_insn in;
	bool good = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder[wide], &context, code, avail, &z));
	bool ours = x86_decode(&in, code, avail, wide);

	/* Xeon Phi's own. */
	if (good && (z.mnemonic == ZYDIS_MNEMONIC_JKZD || z.mnemonic == ZYDIS_MNEMONIC_JKNZD))
		return z.length;
	if (!good) {
		accepted += ours;
		return 0;
	}
	seen++;
	if (ours && same(&in, &z)) {
		compare_general(&in, &z, &context, code, wide);
		return z.length;
	}
	if (wrong++ < 20) {
		printf("# %s, %s (%u, not %u):", wide ? "64" : "32", ours ? "other parts" : "not decoded", z.length,
		       ours ? in.len : 0);
		print_code(code, z.length);
	}
	return z.length;
}

static int object(const char *path)
{
	struct elf elf;

	if (elf_open(&elf, path, NULL) || elf_load_segments(&elf)) {
		fprintf(stderr, "run-decode: %s: cannot be read\n", path);
		return 2;
	}
	for (u32 i = 0; i < elf.nloads; i++) {
		const struct elf_segment *s = &elf.load[i];

		if (!s->exec)
			continue;
		for (u64 at = 0; at < s->size;) {
			unsigned int len = compare(s->data + at, s->size - at, elf.wide);

			at += len ? len : 1;
		}
	}
	elf_close(&elf);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long n = 0;
	int opt, err = 0;

	while ((opt = getopt(argc, argv, "xs:n:")) != -1) {
		if (opt == 's')
			rng_state = strtoull(optarg, NULL, 0) * 2 + 1;
		else if (opt == 'n')
			n = strtoul(optarg, NULL, 0);
		else if (opt == 'x')
			everything = true;
		else
			return 2;
	}
	ZydisDecoderInit(&decoder[1], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisDecoderInit(&decoder[0], ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32);
	for (; optind < argc && !err; optind++)
		err = object(argv[optind]);
	for (unsigned long i = 0; i < n; i++) {
		unsigned char code[16];

		for (unsigned int k = 0; k < sizeof(code); k += 8) {
			unsigned long long r = rnd();

			memcpy(code + k, &r, 8);
		}
		/* Prefixes and escapes rather often. */
		if (i % 4 == 1)
			code[0] = 0x0f;
		else if (i % 4 == 2)
			code[0] = "\x66\x67\xf2\xf3\x48\x41\x2e\xf0"[rnd() % 8];
		else if (i % 4 == 3)
			code[0] = "\xc4\xc5\x62\x8f"[rnd() % 4];
		compare(code, 1 + rnd() % 16, i % 8 < 4);
	}
	printf("%lu instructions, %lu of them general, %lu differently; %lu that are none were taken for some\n", seen,
	       general, wrong, accepted);
	return err ? err : wrong != 0;
}
