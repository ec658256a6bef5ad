/* SPDX-License-Identifier: MIT */
/* s390, both widths: what a compiler left at an entry. See recognise.h. */
#include "arch-site.h"
#include "recognise.h"

/* Registers by their numbers in DWARF. */
#define RETURN_REG	14
#define STACK_REG	15

/* Where a function's first instructions leave the return address, below the frame (CFA). */
#ifdef __s390x__
#define WIDE			true
#define RETURN_BELOW_CFA	48
#else
#define WIDE			false
#define RETURN_BELOW_CFA	40
#endif

static u32 read16(const u8 *p)
{
	return (u32)p[0] << 8 | p[1];
}

static u32 read32(const u8 *p)
{
	return read16(p) << 16 | read16(p + 2);
}

/* Address @at plus a displacement that counts halfwords, as wide as addresses are. */
static u64 relative(u64 at, s64 halfwords)
{
	u64 addr = at + (u64)(2 * halfwords);

	return WIDE ? addr : addr & 0x7fffffff;
}

size_t arch_landing_pad(const u8 *code, size_t avail)
{
	return 0;
}

/* Branches that never do: mask 0. */
size_t arch_nop(const u8 *code, size_t avail)
{
	if (avail >= 2 && code[0] == 0x07 && (code[1] & 0xf0) == 0)		/* bcr */
		return 2;
	if (avail >= 4 && code[0] == 0x47 && (code[1] & 0xf0) == 0)		/* bc */
		return 4;
	if (avail >= 4 && code[0] == 0xa7 && code[1] == 0x04)			/* brc */
		return 4;
	if (avail >= 6 && code[0] == 0xc0 && code[1] == 0x04)			/* brcl */
		return 6;
	return 0;
}

enum arch_call arch_call(const u8 *code, size_t avail, u64 vaddr, u64 got, u64 *target, u8 *len)
{
	/* brasl %r14, or %r0 (-mfentry) */
	if (avail < 6 || code[0] != 0xc0 || (code[1] != 0xe5 && code[1] != 0x05))
		return ARCH_CALL_NONE;
	*len = 6;
	*target = relative(vaddr, (s32)read32(code + 2));
	return ARCH_CALL_DIRECT;
}

/* brc, brcl with a mask that is not 0. */
static bool is_jump(const u8 *code)
{
	return (code[0] == 0xa7 || code[0] == 0xc0) && (code[1] & 0x0f) == 4 && (code[1] & 0xf0);
}

enum arch_call arch_jump(const u8 *code, size_t avail, u64 vaddr, u64 got, u64 *target)
{
	if (avail < 4)
		return ARCH_CALL_NONE;
	if (is_jump(code) && code[0] == 0xa7) {
		*target = relative(vaddr, (int16_t)read16(code + 2));
		return ARCH_CALL_DIRECT;
	}
	if (is_jump(code) && avail >= 6) {
		*target = relative(vaddr, (s32)read32(code + 2));
		return ARCH_CALL_DIRECT;
	}
	return arch_plt_entry(code, avail, vaddr, got, target) ? ARCH_CALL_SLOT : ARCH_CALL_NONE;
}

size_t arch_next_jump(const u8 *code, size_t at, size_t avail)
{
	/* Instructions begin at even addresses, and so does every function. */
	for (at += at & 1; at + 1 < avail; at += 2)
		if (is_jump(code + at) || (code[at] == 0xc0 && code[at + 1] == 0x10))
			return at;
	return avail;
}

/* The displacement of 20 bits at the third byte of an instruction. */
static s64 displacement(const u8 *code)
{
	u32 d = (read16(code + 2) & 0xfff) | (u32)code[4] << 12;

	return (s64)((s32)(d << 12) >> 12);
}

/*
 * Registers are copied from r14 where nothing has been called yet and sp not lowered, or the word in the
 * save area is read to another register than r14. What reads it to r14 is an epilogue.
 */
static bool return_slot(const u8 *code, size_t avail, struct arch_cfa *cfa)
{
	s64 disp;

	cfa->reg = STACK_REG;
	cfa->offset = ARCH_ABI_FRAME;
	if (code[0] == 0x18 && (code[1] & 0x0f) == RETURN_REG && !WIDE)		/* lr */
		return code[1] >> 4 != RETURN_REG;
	if (avail < 4)
		return false;
	if (code[0] == 0xb9 && code[1] == 0x04 && (code[3] & 0x0f) == RETURN_REG)	/* lgr */
		return code[3] >> 4 != RETURN_REG;
	if (code[1] >> 4 == RETURN_REG || (code[1] & 0x0f))
		return false;		/* an epilogue; an indexed operand */
	if (code[0] == 0x41 || (code[0] == 0x58 && !WIDE))			/* la, l */
		disp = read16(code + 2) & 0xfff;
	else if (code[0] == 0xe3 && avail >= 6 &&
		 (code[5] == 0x71 || (WIDE ? code[5] == 0x04 || code[5] == 0x02
					   : code[5] == 0x58 || code[5] == 0x12)))
		disp = displacement(code);					/* lay, lg, ltg, ly, lt */
	else
		return false;
	cfa->reg = code[2] >> 4;
	cfa->offset = disp + RETURN_BELOW_CFA;
	return disp >= 0 && disp % (WIDE ? 8 : 4) == 0;
}

size_t arch_next_return_slot(const u8 *code, size_t at, size_t avail, struct arch_cfa *cfa)
{
	for (at += at & 1; at + 1 < avail; at += 2)
		if (return_slot(code + at, avail - at, cfa))
			return at;
	return avail;
}

bool arch_plt_entry(const u8 *code, size_t avail, u64 vaddr, u64 got, u64 *slot)
{
	static const u8 wide_rest[] = { 0xe3, 0x10, 0x10, 0x00, 0x00, 0x04, 0x07, 0xf1 };
	static const u8 narrow_rest[] = { 0x58, 0x10, 0x10, 0x00, 0x07, 0xf1 };

	/* larl %r1,slot; l(g) %r1,0(%r1); br %r1 */
	if (avail >= 6 + (WIDE ? sizeof(wide_rest) : sizeof(narrow_rest)) &&
	    code[0] == 0xc0 && code[1] == 0x10 &&
	    !ft_memcmp(code + 6, WIDE ? wide_rest : narrow_rest,
		       WIDE ? sizeof(wide_rest) : sizeof(narrow_rest))) {
		*slot = relative(vaddr, (s32)read32(code + 2));
		return true;
	}
	/* l %r1,offset(%r12); br %r1 */
	if (!WIDE && got && avail >= 6 && read16(code) == 0x5810 && code[2] >> 4 == 0xc &&
	    read16(code + 4) == 0x07f1) {
		*slot = got + (read16(code + 2) & 0xfff);
		return true;
	}
	return false;
}

size_t arch_entry_mcount(const u8 *code, size_t avail, size_t *at)
{
#ifdef __s390x__
	static const u8 keep[] = { 0xe3, 0xe0, 0xf0, 0x08, 0x00, 0x24 };	/* stg %r14,8(%r15) */
	static const u8 fetch[] = { 0xe3, 0xe0, 0xf0, 0x08, 0x00, 0x04 };	/* lg */
#else
	static const u8 keep[] = { 0x50, 0xe0, 0xf0, 0x04 };			/* st %r14,4(%r15) */
	static const u8 fetch[] = { 0x58, 0xe0, 0xf0, 0x04 };			/* l */
#endif
	size_t end = sizeof(keep) + ARCH_SITE_SIZE;

	if (avail < end + sizeof(fetch) || ft_memcmp(code, keep, sizeof(keep)) ||
	    ft_memcmp(code + end, fetch, sizeof(fetch)))
		return 0;
	*at = sizeof(keep);
	return ARCH_SITE_SIZE + sizeof(fetch);
}

/* -mhotpatch begins with one brcl where there is room; -fpatchable-function-entry makes bcr. */
size_t arch_unlisted_nop(const u8 *code, size_t avail)
{
	static const u8 brcl[ARCH_SITE_SIZE] = { 0xc0, 0x04 };

	return avail >= sizeof(brcl) && !ft_memcmp(code, brcl, sizeof(brcl)) ? sizeof(brcl) : 0;
}

/* Calls of mcount stand at the entry on this machine, before there is any frame. */
size_t arch_prologue_insn(const u8 *code, size_t avail)
{
	return 0;
}

bool arch_frame_setup(const u8 *code, size_t avail)
{
	return false;
}
