/* SPDX-License-Identifier: MIT */
/* s390, both widths: the bytes of a site and of a stub. The layout is in arch-site.h. */
#include <ftrace/trace-format.h>

#include "arch.h"
#include "recognise.h"
#include "site.h"

static u8 *put2(u8 *p, unsigned int v)
{
	p[0] = (u8)(v >> 8);
	p[1] = (u8)v;
	return p + 2;
}

static u8 *put4(u8 *p, u32 v)
{
	return put2(put2(p, v >> 16), v);
}

unsigned long arch_site_reach(void)
{
	return sizeof(long) == 8 ? 0xfff00000ul : 0x7ff00000ul;
}

/* The instruction @op (two bytes) with the distance from itself, at @from, to @to; -ERANGE. */
static int relative(u8 *p, unsigned int op, unsigned long from, unsigned long to)
{
	s64 halfwords = ((s64)to - (s64)from) / 2;

	if (halfwords != (s32)halfwords)
		return -ERANGE;
	put4(put2(p, op), (u32)halfwords);
	return 0;
}

#define OP_BRC		0xa704		/* 4 bytes; the mask in the third digit */
#define OP_BRCL		0xc004		/* 6 bytes */
#define MASK_ALWAYS	0x00f0

unsigned long arch_site_body(const struct dyn_ftrace *site)
{
	/* What is left of a longer site was made a jump over it, or nops, when it was armed. */
	if (site->form == FTRACE_FORM_SHORT)
		return site->ip + ARCH_SHORT_SIZE;
	/* Behind a call of mcount stands what fetches the return address again: not for a hooked call. */
	return site->ip + (site->form == FTRACE_FORM_CALL ? site->len : ARCH_SITE_SIZE);
}

u8 arch_site_byte(const struct dyn_ftrace *site, bool on)
{
	return on ? ARCH_SITE_ON : ARCH_SITE_OFF;
}

int arch_site_arm(const struct dyn_ftrace *site, unsigned long stub,
		  struct arch_patch patch[ARCH_SITE_PATCHES])
{
	if (site->form == FTRACE_FORM_SHORT) {
		unsigned long pre = site->ip - site->entry_delta - ARCH_SITE_SIZE;

		patch[0].addr = pre;
		patch[0].len = ARCH_SITE_SIZE;
		if (relative(patch[0].bytes, OP_BRCL | MASK_ALWAYS, pre, stub))
			return -ERANGE;
		patch[1].addr = site->ip;
		patch[1].len = ARCH_SHORT_SIZE;
		put2(put2(patch[1].bytes, OP_BRC), (unsigned int)((s64)(pre - site->ip) / 2));
		return 2;
	}
	patch[0].addr = site->ip;
	patch[0].len = ARCH_SITE_SIZE;
	return relative(patch[0].bytes, OP_BRCL, site->ip, stub) ? -ERANGE : 1;
}

static bool all_nops(const u8 *p, size_t len)
{
	while (len) {
		size_t n = arch_nop(p, len);

		if (!n)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

const char *arch_site_check(const struct dyn_ftrace *site)
{
	const u8 *p = (const u8 *)site->ip;
	const char *changed = "its code is not what the file says";
	bool good;

	if (p[0] == 0 && (p[1] == 1 || p[1] == 2))
		return "a breakpoint stands there";
	switch (site->form) {
	case FTRACE_FORM_NOP:
	case FTRACE_FORM_NOPS:
		/* A nop that leads somewhere is an armed site. */
		if (p[0] == 0xc0 && (p[2] | p[3] | p[4] | p[5]))
			return "another tracer has it";
		good = all_nops(p, site->len);
		break;
	case FTRACE_FORM_SHORT:
		good = all_nops(p, site->len) &&
		       all_nops(p - site->entry_delta - ARCH_SITE_SIZE, ARCH_SITE_SIZE);
		break;
	case FTRACE_FORM_CALL:
		good = p[0] == 0xc0 && (p[1] == 0x05 || p[1] == 0xe5);	/* brasl %r0 (mfentry), %r14 */
		break;
	default:
		good = false;
	}
	return good ? NULL : changed;
}

int arch_function_replace(unsigned long from, unsigned long to, u8 *out)
{
	const u8 *p;
	size_t room = 2;

	from = ARCH_CODE_ADDRESS(from);
	to = ARCH_CODE_ADDRESS(to);
	p = (const u8 *)from;
	if (p[0] != 0x07 || p[1] != 0xfe)	/* br %r14; behind it, padding up to the next function */
		return -EBUSY;
	while (room < ARCH_SITE_SIZE && (from + room) % 8) {
		size_t n = arch_nop(p + room, 8 - (from + room) % 8);

		if (!n)
			break;
		room += n;
	}
	if (room < ARCH_SITE_SIZE || relative(out, OP_BRCL | MASK_ALWAYS, from, to))
		return -EBUSY;
	return ARCH_SITE_SIZE;
}

/* The instructions of a stub, as wide as the registers. */
#ifdef __s390x__
#define STM_LAST	0x24		/* stmg */
#define LM_LAST		0x04		/* lmg */
#define LOAD_RELATIVE	0xc408		/* lgrl */
#else
#define STM_LAST	0x90		/* stmy */
#define LM_LAST		0x98		/* lmy */
#define LOAD_RELATIVE	0xc40d		/* lrl */
#endif

/* Registers 14, 15, 0 ... 5 to or from the save area. */
static u8 *save_area(u8 *p, u8 last)
{
	p = put4(p, 0xebe5f000 | ARCH_SAVE_AREA);
	return put2(p, last);
}

void arch_stub_write(u8 *out, const struct dyn_ftrace *site, unsigned long stub)
{
	unsigned long data = stub + FTRACE_CHUNK_CODE, body = arch_site_body(site);
	u8 *p = out;

#define HERE		(stub + (unsigned long)(p - out))
#define RELATIVE(op, to)	do { relative(p, (op), HERE, (to)); p += 6; } while (0)
	p = save_area(p, STM_LAST);
	p = put4(put2(p, 0xc009), FTRACE_RECORD_ID(FTRACE_EVENT_ENTRY, site->id));	/* iilf %r0 */
	RELATIVE(LOAD_RELATIVE | 14 << 4, data + offsetof(struct dyn_ftrace, entry));
	p = put2(p, 0x0dee);					/* basr %r14,%r14 */
	p = save_area(p, LM_LAST);				/* ARCH_STUB_ENTRY_RET */
	RELATIVE(OP_BRCL | MASK_ALWAYS, body);
	p = save_area(p, LM_LAST);				/* ARCH_STUB_HOOKED */
	RELATIVE(0xc0e5, body);					/* brasl %r14 */
	p = put4(put2(p, 0xc009), FTRACE_RECORD_ID(FTRACE_EVENT_EXIT, site->id));
	RELATIVE(LOAD_RELATIVE | 1 << 4, data + offsetof(struct dyn_ftrace, exit));
	p = put2(p, 0x0de1);					/* basr %r14,%r1 */
	ft_memset(p, ARCH_STUB_FILL, FTRACE_STUB_SIZE - (size_t)(p - out));
#undef RELATIVE
#undef HERE
}
