/* SPDX-License-Identifier: MIT */
/* x86, both widths: what a compiler left at an entry. See recognise.h. */
#include "recognise.h"

#ifdef __x86_64__
#define WIDE true
#else
#define WIDE false
#endif

static u32 read32(const u8 *p)
{
	return p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

/* Address @at plus a signed displacement, as wide as addresses are. */
static u64 relative(u64 at, const u8 *disp)
{
	u64 addr = at + (u64)(s64)(s32)read32(disp);

	return WIDE ? addr : (u32)addr;
}

size_t arch_landing_pad(const u8 *code, size_t avail)
{
	if (avail < 4 || code[0] != 0xf3 || code[1] != 0x0f || code[2] != 0x1e)
		return 0;
	return code[3] == 0xfa || code[3] == 0xfb ? ARCH_LANDING_PAD : 0;	/* endbr64, endbr32 */
}

/* Length of ModRM, SIB and displacement at @p; 0: cut off. */
static size_t modrm_length(const u8 *p, size_t avail)
{
	size_t len = 1;
	u8 mod, rm;

	if (!avail)
		return 0;
	mod = p[0] >> 6;
	rm = p[0] & 7;
	if (mod != 3 && rm == 4) {
		if (avail < 2)
			return 0;
		len = 2;
		if (mod == 0 && (p[1] & 7) == 5)
			len += 4;
	} else if (mod == 0 && rm == 5) {
		len += 4;
	}
	if (mod == 1)
		len += 1;
	else if (mod == 2)
		len += 4;
	return len <= avail ? len : 0;
}

size_t arch_nop(const u8 *code, size_t avail)
{
	size_t i = 0, len;

	/* Padding prefixes: any number of 66, one cs. f3 90 would be pause. */
	while (i < avail && (code[i] == 0x66 || code[i] == 0x2e))
		i++;
	if (i < avail && code[i] == 0x90)
		return i + 1 <= 15 ? i + 1 : 0;
	if (i + 2 >= avail || code[i] != 0x0f || code[i + 1] != 0x1f || code[i + 2] & 0x38)
		return 0;
	len = modrm_length(code + i + 2, avail - i - 2);
	return len && i + 2 + len <= 15 ? i + 2 + len : 0;
}

enum arch_call arch_call(const u8 *code, size_t avail, u64 vaddr, u64 got, u64 *target, u8 *len)
{
	if (avail >= 5 && code[0] == 0xe8) {
		*len = 5;
		*target = relative(vaddr + 5, code + 1);
		return ARCH_CALL_DIRECT;
	}
	if (avail < 6)
		return ARCH_CALL_NONE;
	*len = 6;
	if (code[0] == 0x67 && code[1] == 0xe8) {	/* was through the GOT: the linker knew better */
		*target = relative(vaddr + 6, code + 2);
		return ARCH_CALL_DIRECT;
	}
	if (code[0] != 0xff)
		return ARCH_CALL_NONE;
	if (code[1] == 0x15) {
		*target = WIDE ? relative(vaddr + 6, code + 2) : read32(code + 2);
		return ARCH_CALL_SLOT;
	}
	/* call *disp32(%reg), i386: the register holds the GOT's address. */
	if (!WIDE && got && (code[1] & 0xf8) == 0x90 && code[1] != 0x94) {
		*target = relative(got, code + 2);
		return ARCH_CALL_SLOT;
	}
	return ARCH_CALL_NONE;
}

enum arch_call arch_jump(const u8 *code, size_t avail, u64 vaddr, u64 got, u64 *target)
{
	if (avail >= 2 && (code[0] == 0xeb || (code[0] & 0xf0) == 0x70)) {
		*target = vaddr + 2 + (u64)(s64)(int8_t)code[1];
		return ARCH_CALL_DIRECT;
	}
	if (avail < 5)
		return ARCH_CALL_NONE;
	if (code[0] == 0xe9) {
		*target = relative(vaddr + 5, code + 1);
		return ARCH_CALL_DIRECT;
	}
	if (avail < 6)
		return ARCH_CALL_NONE;
	if (code[0] == 0x0f && (code[1] & 0xf0) == 0x80) {
		*target = relative(vaddr + 6, code + 2);
		return ARCH_CALL_DIRECT;
	}
	return arch_plt_entry(code, avail, vaddr, got, target) ? ARCH_CALL_SLOT : ARCH_CALL_NONE;
}

size_t arch_next_jump(const u8 *code, size_t at, size_t avail)
{
	/* By the first byte: 0 no jump, 1 one, else the high half of the second byte. */
	static const u8 first[256] = {
		[0x0f] = 0x80, [0x70 ... 0x7f] = 1, [0xe9] = 1, [0xeb] = 1, [0xff] = 0x20,
	};

	for (; at + 1 < avail; at++) {
		u8 second = first[code[at]];

		if (likely(!second))
			continue;
		if (second == 1 || (code[at + 1] & 0xf0) == second ||
		    (code[at] == 0xff && code[at + 1] == 0xa3))
			return at;
	}
	return avail;
}

/* Kinds of opcodes that read memory, and what ModRM must be for them: bits that both tables share. */
enum { ANY = 1, REG_6 = 2, REG_7 = 4 };

#define BASES(mod, reg, bits)	\
	[(mod) << 6 | (reg) << 3 | 4] = (bits), [(mod) << 6 | (reg) << 3 | 5] = (mod) ? (bits) : 0
#define REGS(mod)	\
	BASES(mod, 0, ANY), BASES(mod, 1, ANY), BASES(mod, 2, ANY), BASES(mod, 3, ANY), \
	BASES(mod, 4, ANY), BASES(mod, 5, ANY), BASES(mod, 6, ANY | REG_6), BASES(mod, 7, ANY | REG_7)

static const u8 reads[256] = {
	[0x03] = ANY, [0x0b] = ANY, [0x23] = ANY, [0x2b] = ANY, [0x33] = ANY,	/* add ... xor */
	[0x3b] = ANY, [0x39] = ANY, [0x85] = ANY,		/* cmp, test */
	[0x81] = REG_7, [0x83] = REG_7,				/* cmp $imm */
	[0x8b] = ANY, [0x8d] = ANY, [0xff] = REG_6,		/* mov, lea, push */
	[0x16] = ANY, [0x22] = ANY, [0x6e] = ANY, [0x7e] = ANY,	/* into vector registers */
};

/* By ModRM: (%rsp), disp(%rsp), disp(%rbp); also of other bases with a SIB byte. */
static const u8 on_stack[256] = { REGS(0), REGS(1), REGS(2) };

/*
 * ff 74 and ff 75 are push disp8(...), or the last byte of any instruction and a je, a jne. What
 * compilers put before such a push is another push or room for arguments.
 */
static bool among_arguments(const u8 *code, size_t at)
{
	return (at >= 1 && (code[at - 1] & 0xf8) == 0x50) || (at >= 2 && code[at - 2] == 0x6a) ||
	       (at >= 3 && code[at - 3] == 0x83 && code[at - 2] == 0xec);
}

/* Is what stands before the opcode at @code + @at what makes it the instruction meant above? */
static bool prefixed(const u8 *code, size_t at)
{
	u8 before[3] = { at ? code[at - 1] : 0, at > 1 ? code[at - 2] : 0, at > 2 ? code[at - 3] : 0 };
	bool rex = WIDE && (before[0] & 0xf0) == 0x40;

	switch (code[at]) {
	case 0x16:		/* movhps, movhpd */
		return before[0] == 0x0f || before[1] == 0xc5;
	case 0x22:		/* pinsrq */
		return (before[0] == 0x3a && before[1] == 0x0f) || before[2] == 0xc4;
	case 0x6e:		/* movq r/m64 */
		return (before[0] == 0x0f && (before[1] & 0xfb) == 0x48) ||
		       (before[2] == 0xc4 && before[0] & 0x80);
	case 0x7e:		/* movq; with 66 it is a store */
		if (before[1] == 0xc5)
			return (before[0] & 3) == 2;
		return before[0] == 0x0f &&
		       (before[1] == 0xf3 || (before[1] == 0x44 && before[2] == 0xf3));
	case 0xff:
		if (code[at + 1] >> 6 == 1)
			return among_arguments(code, at);
		break;
	case 0x8d:		/* of a whole register */
		return !WIDE ? before[0] != 0x0f : (before[0] & 0xfb) == 0x48;
	}
	/* Behind 0f it is another; with these bits of REX the base is. Half a word is one, too. */
	return before[0] != 0x0f && !(rex && before[0] & 3);
}

static bool return_slot(const u8 *code, size_t at, size_t avail, struct arch_cfa *cfa)
{
	const u8 *p = code + at + 1;
	u8 mod = p[0] >> 6, rm = p[0] & 7;
	size_t len = modrm_length(p, avail - at - 1), word = WIDE ? 8 : 4;
	s64 disp = 0;

	if (!len || (rm == 4 && p[1] != 0x24))
		return false;
	if (mod == 1)
		disp = (int8_t)p[len - 1];
	else if (mod == 2)
		disp = (s32)read32(p + len - 4);
	if (disp < 0 || disp % (s64)word || !prefixed(code, at))
		return false;
	/* rsp, rbp; esp, ebp */
	cfa->reg = rm == 4 ? (WIDE ? 7 : 4) : (WIDE ? 6 : 5);
	cfa->offset = disp + (s64)word;
	return true;
}

size_t arch_next_return_slot(const u8 *code, size_t at, size_t avail, struct arch_cfa *cfa)
{
	for (; at + 1 < avail; at++)
		if (unlikely(reads[code[at]] & on_stack[code[at + 1]]) &&
		    return_slot(code, at, avail, cfa))
			return at;
	return avail;
}

bool arch_plt_entry(const u8 *code, size_t avail, u64 vaddr, u64 got, u64 *slot)
{
	size_t i = arch_landing_pad(code, avail);

	if (i < avail && code[i] == 0xf2)	/* bnd */
		i++;
	if (avail < 6 || i > avail - 6 || code[i] != 0xff)
		return false;
	if (code[i + 1] == 0x25) {		/* jmp *slot */
		*slot = WIDE ? relative(vaddr + i + 6, code + i + 2) : read32(code + i + 2);
		return true;
	}
	if (!WIDE && got && code[i + 1] == 0xa3) {	/* jmp *disp(%ebx) */
		*slot = relative(got, code + i + 2);
		return true;
	}
	return false;
}

size_t arch_entry_mcount(const u8 *code, size_t avail, size_t *at)
{
	return 0;
}

size_t arch_unlisted_nop(const u8 *code, size_t avail)
{
	return 0;
}

/* What follows an opcode. */
enum { BAD, NONE, MODRM, MODRM_8, MODRM_V, IMM_8, IMM_V };

/* One-byte opcodes a prologue may have; V is 2 or 4 bytes by operand size. */
static int one_byte(u8 op, u8 modrm)
{
	if (op < 0x40)		/* add, or, ..., cmp */
		return (op & 7) < 4 ? MODRM : (op & 7) == 4 ? IMM_8 : (op & 7) == 5 ? IMM_V : BAD;
	if (op < 0x58)		/* inc, dec (i386; REX was taken off before); push */
		return NONE;
	if (op >= 0xb0 && op < 0xb8)
		return IMM_8;
	if (op >= 0xb8 && op < 0xc0)
		return IMM_V;
	if (op >= 0x70 && op < 0x80)	/* jcc: the loop that touches a large frame's pages */
		return IMM_8;
	switch (op) {
	case 0x63:		/* movslq */
		return WIDE ? MODRM : BAD;
	case 0x84: case 0x85:	/* test */
	case 0x88: case 0x89: case 0x8a: case 0x8b:	/* mov */
	case 0x8d:		/* lea */
	case 0xd1: case 0xd3:	/* shifts */
		return MODRM;
	case 0x80: case 0x83: case 0xc6: case 0xc0: case 0xc1: case 0x6b:
		return MODRM_8;
	case 0x81: case 0xc7: case 0x69:
		return MODRM_V;
	case 0x68:		/* push */
		return IMM_V;
	case 0x6a:
		return IMM_8;
	case 0x90: case 0x98: case 0x99:
		return NONE;
	case 0xff:		/* push m; inc and dec; no call, no jump */
		return (modrm & 0x38) == 0x30 || (modrm & 0x38) <= 0x08 ? MODRM : BAD;
	}
	return BAD;
}

/* Opcodes behind 0f, also of VEX map 1: moves between registers and memory, conversions, jcc. */
static int two_byte(u8 op)
{
	if ((op >= 0x10 && op <= 0x17) || op == 0x1e || op == 0x1f ||
	    (op >= 0x28 && op <= 0x2f) || (op >= 0x40 && op <= 0x5f) ||
	    (op >= 0x60 && op <= 0x6f) || op == 0x7e || op == 0x7f ||
	    (op >= 0x90 && op <= 0x9f) || op == 0xaf || op == 0xb6 || op == 0xb7 ||
	    op == 0xbe || op == 0xbf || (op >= 0xd0 && op <= 0xfe))
		return MODRM;
	if (op == 0x70 || op == 0xc6)
		return MODRM_8;
	if (op >= 0x80 && op < 0x90)	/* jcc: over the saving of vector registers (varargs) */
		return IMM_V;
	return BAD;
}

size_t arch_prologue_insn(const u8 *code, size_t avail)
{
	bool small = false, rex_w = false;
	size_t i = 0, len;
	int rest;

	/* Position independent code of i386 asks where it is, and adds what the table is away. */
	if (!WIDE && avail >= 11 && code[0] == 0xe8 &&
	    (code[5] == 0x05 || (code[5] == 0x81 && (code[6] & 0xf8) == 0xc0)))
		return 5;
	if (avail > 15)
		avail = 15;
	for (; i < avail; i++) {
		if (code[i] == 0x66)
			small = true;
		else if (code[i] != 0xf2 && code[i] != 0xf3 && code[i] != 0x64 &&
			 code[i] != 0x65 && code[i] != 0x2e)
			break;
	}
	if (WIDE && i < avail && (code[i] & 0xf0) == 0x40)
		rex_w = code[i++] & 8;
	if (i >= avail)
		return 0;

	if (code[i] == 0x0f) {
		if (++i >= avail)
			return 0;
		rest = two_byte(code[i++]);
	} else if (code[i] == 0xc5 && i + 2 < avail && (WIDE || code[i + 1] >= 0xc0)) {
		rest = two_byte(code[i + 2]);
		i += 3;
	} else if (code[i] == 0xc4 && i + 3 < avail && (WIDE || code[i + 1] >= 0xc0) &&
		   (code[i + 1] & 0x1f) == 1) {
		rest = two_byte(code[i + 3]);
		i += 4;
	} else {
		rest = one_byte(code[i], i + 1 < avail ? code[i + 1] : 0xff);
		/* mov $imm64, %reg: the only one with eight bytes of it */
		if (rest == IMM_V && rex_w && (code[i] & 0xf8) == 0xb8)
			return i + 9 <= avail ? i + 9 : 0;
		i++;
	}
	if (rest == BAD)
		return 0;
	if (rest == MODRM || rest == MODRM_8 || rest == MODRM_V) {
		len = modrm_length(code + i, avail - i);
		if (!len)
			return 0;
		i += len;
	}
	if (rest == MODRM_8 || rest == IMM_8)
		i += 1;
	else if (rest == MODRM_V || rest == IMM_V)
		i += small ? 2 : 4;
	return i <= avail ? i : 0;
}

bool arch_frame_setup(const u8 *code, size_t avail)
{
	size_t i = arch_landing_pad(code, avail);

	if (i >= avail || code[i++] != 0x55)		/* push %rbp */
		return false;
	if (WIDE && (i >= avail || code[i++] != 0x48))
		return false;
	if (avail < 2 || i > avail - 2)
		return false;
	return (code[i] == 0x89 && code[i + 1] == 0xe5) ||	/* mov %rsp, %rbp, */
	       (code[i] == 0x8b && code[i + 1] == 0xec);	/* both encodings */
}
