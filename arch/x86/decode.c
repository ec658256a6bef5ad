/* SPDX-License-Identifier: MIT */
/* See decode.h. Tables after the opcode maps of Intel's manual (volume 2, appendix A) and AMD's (volume 3). */
#include "decode.h"

/* What follows an opcode. */
enum {
	M	= 1 << 0,	/* ModRM */
	I8	= 1 << 1,	/* an immediate of one byte */
	IZ	= 1 << 2,	/* of 4 bytes, or 2 by 66 */
	I16	= 1 << 3,
	IV	= 1 << 4,	/* as IZ, or 8 by REX.W */
	J	= 1 << 5,	/* the immediate is a distance */
	OFFS	= 1 << 6,	/* an address */
	N	= 1 << 7,	/* no instruction in 64-bit code */
	X	= 1 << 8,	/* none at all */
	P	= 1 << 9,	/* a prefix */
	FAR	= 1 << 10,	/* a selector behind an IZ */
	G3	= 1 << 11,	/* an immediate if ModRM.reg is 0 or 1 */
};

#define ALU	M, M, M, M, I8, IZ

static const u16 one_byte[256] = {
	/* 00 */ ALU, N, N, ALU, N, X,
	/* 10 */ ALU, N, N, ALU, N, N,
	/* 20 */ ALU, P, N, ALU, P, N,
	/* 30 */ ALU, P, N, ALU, P, N,
	/* 40 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/* 50 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/* 60 */ N, N, M | N, M, P, P, P, P, IZ, M | IZ, I8, M | I8, 0, 0, 0, 0,
	/* 70 */ J | I8, J | I8, J | I8, J | I8, J | I8, J | I8, J | I8, J | I8,
		 J | I8, J | I8, J | I8, J | I8, J | I8, J | I8, J | I8, J | I8,
	/* 80 */ M | I8, M | IZ, M | I8 | N, M | I8, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 90 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, IZ | FAR | N, 0, 0, 0, 0, 0,
	/* a0 */ OFFS, OFFS, OFFS, OFFS, 0, 0, 0, 0, I8, IZ, 0, 0, 0, 0, 0, 0,
	/* b0 */ I8, I8, I8, I8, I8, I8, I8, I8, IV, IV, IV, IV, IV, IV, IV, IV,
	/* c0 */ M | I8, M | I8, I16, 0, M | N, M | N, M | I8, M | IZ,
		 I16 | I8, 0, I16, 0, 0, I8, N, 0,
	/* d0 */ M, M, M, M, I8 | N, I8 | N, N, 0, M, M, M, M, M, M, M, M,
	/* e0 */ J | I8, J | I8, J | I8, J | I8, I8, I8, I8, I8,
		 J | IZ, J | IZ, IZ | FAR | N, J | I8, 0, 0, 0, 0,
	/* f0 */ P, 0, P, P, 0, 0, M | I8 | G3, M | IZ | G3, 0, 0, 0, 0, 0, 0, M, M,
};

static const u16 two_bytes[256] = {
	/* 00 */ M, M, M, M, X, 0, 0, 0, 0, 0, X, 0, X, M, 0, M | I8,
	/* 10 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 20 */ M, M, M, M, X, X, X, X, M, M, M, M, M, M, M, M,
	/* 30 */ 0, 0, 0, 0, 0, 0, X, 0, X, X, X, X, X, X, X, X,
	/* 40 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 50 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 60 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 70 */ M | I8, M | I8, M | I8, M | I8, M, M, M, 0, M, M, X, X, M, M, M, M,
	/* 80 */ J | IZ, J | IZ, J | IZ, J | IZ, J | IZ, J | IZ, J | IZ, J | IZ,
		 J | IZ, J | IZ, J | IZ, J | IZ, J | IZ, J | IZ, J | IZ, J | IZ,
	/* 90 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* a0 */ 0, 0, 0, M, M | I8, M, M, M, 0, 0, 0, M, M | I8, M, M, M,
	/* b0 */ M, M, M, M, M, M, M, M, M, M, M | I8, M, M, M, M, M,
	/* c0 */ M, M, M | I8, M, M | I8, M | I8, M | I8, M, 0, 0, 0, 0, 0, 0, 0, 0,
	/* d0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* e0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* f0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
};

struct reader {
	const u8 *code;
	size_t avail, at;
};

static bool next(struct reader *r, u8 *byte)
{
	if (r->at >= r->avail || r->at >= X86_MAX_LEN)
		return false;
	*byte = r->code[r->at++];
	return true;
}

/* @size bytes, sign-extended. */
static bool number(struct reader *r, unsigned int size, s64 *value)
{
	u64 v = 0;

	if (r->at + size > r->avail || r->at + size > X86_MAX_LEN)
		return false;
	for (unsigned int i = 0; i < size; i++)
		v |= (u64)r->code[r->at++] << 8 * i;
	if (size && size < 8)
		v = (v ^ 1ull << (8 * size - 1)) - (1ull << (8 * size - 1));
	*value = (s64)v;
	return true;
}

static bool read_modrm(struct reader *r, struct x86_insn *in, bool wide)
{
	bool narrow = !wide && in->addrsize;
	u8 mod, rm;
	s64 disp = 0;

	in->has_modrm = true;
	in->modrm_at = (u8)r->at;
	if (!next(r, &in->modrm))
		return false;
	mod = x86_mod(in);
	rm = x86_rm(in);
	/* Control and debug registers: always registers. */
	if (in->map == X86_MAP_0F && in->opcode >= 0x20 && in->opcode < 0x24)
		mod = 3;
	if (mod == 3)
		return true;
	if (!narrow && rm == 4) {
		in->has_sib = true;
		if (!next(r, &in->sib))
			return false;
		rm = in->sib & 7;	/* base 5 is none where ModRM's would be */
		if (mod == 0 && rm == 5)
			in->disp_size = 4;
	} else if (mod == 0 && rm == (narrow ? 6 : 5)) {
		in->disp_size = narrow ? 2 : 4;
	}
	if (mod == 1)
		in->disp_size = 1;
	else if (mod == 2)
		in->disp_size = narrow ? 2 : 4;
	in->disp_at = (u8)r->at;
	if (!number(r, in->disp_size, &disp))
		return false;
	in->disp = (s32)disp;
	return true;
}

/* VEX, EVEX and XOP: what follows the prefix at its @lead byte. */
static bool read_vex(struct reader *r, struct x86_insn *in, u8 lead, bool wide, u16 *follows)
{
	unsigned int length = lead == 0xc5 ? 1 : lead == 0x62 ? 3 : 2, map = 1;
	u8 p[3];

	for (unsigned int i = 0; i < length; i++)
		if (!next(r, &p[i]))
			return false;
	if (lead != 0xc5)
		map = p[0] & (lead == 0x62 ? 7 : 0x1f);
	/* As REX has them, inverted: only base, for who looks at registers. */
	in->rex = (u8)(wide ? 0x40 | (lead == 0xc5 ? 0 : (~p[0] >> 5) & 1) : 0);
	in->map = X86_MAP_VEX;
	if (!next(r, &in->opcode))
		return false;
	if (lead == 0x8f) {
		*follows = map == 8 ? M | I8 : map == 9 ? M : map == 10 ? M | IZ : X;
		return true;
	}
	switch (map) {
	case 1:
		/* All but vzeroupper, also where the opcode without a prefix has none (EVEX: 7a, 7b). */
		*follows = in->opcode >= 0x80 && in->opcode < 0x90 ? X : M | (two_bytes[in->opcode] & I8);
		if (in->opcode == 0x77)
			*follows = lead == 0x62 ? X : 0;
		break;
	case 2:
	case 5:
	case 6:
		*follows = lead == 0x62 || map == 2 ? M : X;
		break;
	case 3:
		*follows = M | I8;
		break;
	default:
		*follows = X;
		break;
	}
	return true;
}

static bool is_vex(const struct reader *r, u8 byte, bool wide)
{
	u8 after = r->at < r->avail ? r->code[r->at] : 0;

	switch (byte) {
	case 0xc4:
	case 0xc5:
	case 0x62:
		return wide || after >= 0xc0;	/* les, lds, bound have no register there */
	case 0x8f:
		return (after & 0x1f) >= 8;	/* pop has ModRM.reg 0 */
	}
	return false;
}

static bool read_opcode(struct reader *r, struct x86_insn *in, bool wide, u16 *follows)
{
	u8 byte;

	do {
		if (!next(r, &byte))
			return false;
		in->opsize |= byte == 0x66;
		in->addrsize |= byte == 0x67;
		in->lock |= byte == 0xf0;
		in->repne |= byte == 0xf2;
		if (wide && byte >= 0x40 && byte < 0x50)
			in->rex = byte;		/* counts if the opcode follows */
		else if (one_byte[byte] & P)
			in->rex = 0;
		else
			break;
	} while (1);
	if (is_vex(r, byte, wide))
		return read_vex(r, in, byte, wide, follows);
	in->opcode = byte;
	if (byte != 0x0f) {
		*follows = one_byte[byte];
		return true;
	}
	in->map = X86_MAP_0F;
	if (!next(r, &in->opcode))
		return false;
	*follows = two_bytes[in->opcode];
	if (in->opcode == 0x38 || in->opcode == 0x3a) {
		in->map = in->opcode == 0x38 ? X86_MAP_0F38 : X86_MAP_0F3A;
		*follows = in->opcode == 0x38 ? M : M | I8;
		return next(r, &in->opcode);
	}
	return true;
}

/* How long the first immediate is. */
static u8 imm_size(const struct x86_insn *in, u16 follows, bool wide)
{
	bool small = in->opsize && !(in->rex & 8);

	if (follows & I16)
		return 2;
	if (follows & I8)
		return 1;
	if (follows & IV && in->rex & 8)
		return 8;
	if (!(follows & (IZ | IV)))
		return 0;
	/* Processors do not agree on 66 before a branch of 64-bit code; Intel's ignore it. */
	if (in->map == X86_MAP_VEX || (follows & J && wide))
		return 4;
	return small ? 2 : 4;
}

bool x86_decode(struct x86_insn *in, const u8 *code, size_t avail, bool wide)
{
	struct reader r = { code, avail, 0 };
	u16 follows = X;
	s64 rest;

	ft_memset(in, 0, sizeof(*in));
	if (!read_opcode(&r, in, wide, &follows) || follows & X || (wide && follows & N))
		return false;
	if (follows & M && !read_modrm(&r, in, wide))
		return false;
	if (follows & G3 && x86_reg(in) > 1)
		follows &= (u16)~(I8 | IZ);
	if (in->map == X86_MAP_1 && in->opcode == 0xc7 && in->modrm == 0xf8)
		follows |= J;			/* xbegin */
	/* extrq and insertq have two of a byte. */
	if (in->map == X86_MAP_0F && in->opcode == 0x78 && x86_mod(in) == 3 &&
	    (in->opsize || in->repne))
		follows |= I16;
	if (follows & OFFS) {
		in->imm_at = (u8)r.at;
		if (!number(&r, wide ? (in->addrsize ? 4 : 8) : in->addrsize ? 2 : 4, &in->imm))
			return false;
	}
	in->imm_size = imm_size(in, follows, wide);
	if (in->imm_size) {
		in->imm_at = (u8)r.at;
		if (!number(&r, in->imm_size, &in->imm))
			return false;
	}
	in->relative = follows & J;
	if ((follows & (I16 | I8)) == (I16 | I8) && in->map == X86_MAP_1 && !number(&r, 1, &rest))
		return false;			/* enter */
	if (follows & FAR && !number(&r, 2, &rest))
		return false;
	in->len = (u8)r.at;
	return true;
}
