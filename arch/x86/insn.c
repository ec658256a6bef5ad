/* SPDX-License-Identifier: MIT */
/* x86: the bytes of a site and of a stub. The layout is in arch-site.h. */
#include "arch.h"
#include "chunk.h"
#include "site.h"
#include "thread.h"

#define OP_CALL		0xe8
#define OP_JMP		0xe9

static void put32(u8 *p, s64 value)
{
	p[0] = (u8)value;
	p[1] = (u8)(value >> 8);
	p[2] = (u8)(value >> 16);
	p[3] = (u8)(value >> 24);
}

unsigned long arch_site_reach(void)
{
	return sizeof(long) == 8 ? 0x7fff0000ul : ~0ul;	/* narrow addresses wrap */
}

/* The displacement of a 5-byte branch at @from to @to; -ERANGE. */
static int displacement(u8 *p, unsigned long from, unsigned long to)
{
	s64 d = (long)(to - (from + 5));

	if (d != (s32)d)
		return -ERANGE;
	put32(p, d);
	return 0;
}

unsigned long arch_site_body(const struct dyn_ftrace *site)
{
	if (site->form == FTRACE_FORM_MOVED)
		return ftrace_copy(site->id);
	/* The rest of a longer site (a 6-byte call) is made a nop when it is armed. */
	return site->ip + (site->form == FTRACE_FORM_SHORT ? 2 : ARCH_SITE_SIZE);
}

u8 arch_site_byte(const struct dyn_ftrace *site, bool on)
{
	if (site->form == FTRACE_FORM_SHORT)
		return on ? ARCH_SITE_SHORT_ON : ARCH_SITE_SHORT_OFF;
	return on ? ARCH_SITE_ON : ARCH_SITE_OFF;
}

int arch_site_arm(const struct dyn_ftrace *site, unsigned long stub,
		  struct arch_patch patch[ARCH_SITE_PATCHES])
{
	if (site->form == FTRACE_FORM_SHORT) {
		unsigned long pre = site->ip - site->entry_delta - ARCH_SITE_SIZE;

		patch[0].addr = pre;
		patch[0].len = ARCH_SITE_SIZE;
		patch[0].bytes[0] = OP_JMP;
		if (displacement(patch[0].bytes + 1, pre, stub))
			return -ERANGE;
		patch[1].addr = site->ip;
		patch[1].len = 2;
		patch[1].bytes[0] = ARCH_SITE_SHORT_OFF;
		patch[1].bytes[1] = (u8)(pre - (site->ip + 2));
		while (patch[1].len < site->len)	/* a nop of three or four bytes */
			patch[1].bytes[patch[1].len++] = 0x90;
		return 2;
	}
	patch[0].addr = site->ip;
	patch[0].len = ARCH_SITE_SIZE;
	patch[0].bytes[0] = site->form == FTRACE_FORM_MOVED ? OP_JMP : ARCH_SITE_OFF;
	if (displacement(patch[0].bytes + 1, site->ip, stub))
		return -ERANGE;
	if (site->form == FTRACE_FORM_MOVED)
		return 1;
	/* What is left of a longer nop or call would not decode by itself. */
	while (patch[0].len < site->len && patch[0].len < sizeof(patch[0].bytes))
		patch[0].bytes[patch[0].len++] = 0x90;
	return 1;
}

/* The length of the nop at @p, 0 if there is none (at most @left bytes). */
static unsigned int nop_length(const u8 *p, unsigned int left)
{
	unsigned int prefixes = 0, n;

	while (prefixes < left && (p[prefixes] == 0x66 || p[prefixes] == 0x2e))
		prefixes++;
	p += prefixes;
	left -= prefixes;
	if (left >= 1 && p[0] == 0x90)
		return prefixes + 1;
#ifndef __x86_64__
	/* What older processors take for padding: lea 0(%esi), %esi in all its lengths. */
	for (n = 3; n <= 7 && n <= left; n++) {
		static const u8 lea[][7] = {
			{ 0x8d, 0x76, 0 }, { 0x8d, 0x74, 0x26, 0 }, { 0 },
			{ 0x8d, 0xb6, 0, 0, 0, 0 }, { 0x8d, 0xb4, 0x26, 0, 0, 0, 0 },
		};

		if (n != 5 && !ft_memcmp(p, lea[n - 3], n))
			return prefixes + n;
	}
#endif
	if (left < 3 || p[0] != 0x0f || p[1] != 0x1f)
		return 0;
	n = 3;
	if ((p[2] & 7) == 4)
		n++;			/* a SIB byte */
	if (p[2] >> 6 == 1)
		n += 1;
	else if (p[2] >> 6 == 2)
		n += 4;
	else if (p[2] >> 6 == 3)
		return 0;
	return n <= left ? prefixes + n : 0;
}

static bool all_nops(const u8 *p, unsigned int len)
{
	while (len) {
		unsigned int n = nop_length(p, len);

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

	if (p[0] == 0xcc)
		return "a breakpoint stands there";
	if (p[0] == ARCH_SITE_OFF || p[0] == ARCH_SITE_ON)
		return "another tracer has it";
	switch (site->form) {
	case FTRACE_FORM_NOP:
	case FTRACE_FORM_NOPS:
		good = all_nops(p, site->len);
		break;
	case FTRACE_FORM_SHORT:
		good = all_nops(p, site->len) &&
		       all_nops(p - site->entry_delta - ARCH_SITE_SIZE, ARCH_SITE_SIZE);
		break;
	case FTRACE_FORM_CALL:
		good = p[0] == OP_CALL;
		break;
	case FTRACE_FORM_MCOUNT:		/* or the nop of -mnop-mcount */
		good = p[0] == OP_CALL || all_nops(p, site->len);
		break;
	case FTRACE_FORM_CALL_GOT:
	case FTRACE_FORM_MCOUNT_GOT:
		/* The linker may have made it `addr32 call` (67 e8) or `call; nop`. */
		good = (p[0] == 0xff && p[1] == 0x15) || (p[0] == 0x67 && p[1] == OP_CALL) ||
		       p[0] == OP_CALL;
		if (sizeof(long) == 4)		/* by a register that holds the table's address */
			good |= p[0] == 0xff && (p[1] & 0xf8) == 0x90;
		break;
	default:
		good = false;
	}
	return good ? NULL : changed;
}

const char *arch_moved_check(const u8 *now, const u8 *orig, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		if (now[i] != orig[i])
			return now[i] == 0xcc ? "a breakpoint stands there" :
			       i == 0 && now[i] == OP_JMP ? "something else has put a jump there" :
			       "its code is not what the file says";
	return NULL;
}

void arch_short_jump(u8 *out, unsigned int back)
{
	out[0] = ARCH_SITE_SHORT_ON;
	out[1] = (u8)-(back + ARCH_SHORT_SIZE);
}

int arch_function_replace(unsigned long from, unsigned long to, u8 *out)
{
	static const u8 endbr[] = { 0xf3, 0x0f, 0x1e, sizeof(long) == 8 ? 0xfa : 0xfb };
	const u8 *p = (const u8 *)from;
	unsigned int skip = 0, room;

	if (!ft_memcmp(p, endbr, sizeof(endbr)))
		skip = sizeof(endbr);
	/* ret, or rep ret; behind it the padding up to the next function. */
	room = skip + (p[skip] == 0xf3 ? 1 : 0);
	if (p[room++] != 0xc3)
		return -EBUSY;
	while (room < ARCH_JUMP_MAX && (from + room) % 16) {
		unsigned int n = nop_length(p + room, 16 - (from + room) % 16);

		if (!n)
			break;
		room += n;
	}
	if (room >= 5 && !displacement(out + 1, from, to)) {
		out[0] = OP_JMP;
		return 5;
	}
#ifdef __x86_64__
	if (room >= 14) {		/* jmp *0(%rip); the address */
		ft_memcpy(out, "\xff\x25\0\0\0", 6);
		ft_memcpy(out + 6, &to, sizeof(to));
		return 14;
	}
#endif
	return -EBUSY;
}

unsigned long arch_resolve(unsigned long resolver)
{
	return ((unsigned long (*)(void))resolver)();
}

#ifdef __x86_64__

/* A call through the pointer at offset @member of the stub's dyn_ftrace. */
static u8 *call_site_member(u8 *p, const u8 *stub, size_t member)
{
	p[0] = 0xff;
	p[1] = 0x15;
	put32(p + 2, (s64)(FTRACE_CHUNK_CODE + member) - (p + 6 - stub));
	return p + 6;
}

void arch_stub_write(u8 *out, const struct dyn_ftrace *site, unsigned long stub)
{
	static const u8 push_r11[] = { 0x41, 0x53 }, pop_r11[] = { 0x41, 0x5b };
	static const u8 drop_slot[] = { 0x48, 0x8d, 0x64, 0x24, 0x08 };	/* lea 8(%rsp), %rsp */
	static const u8 make_slot[] = { 0x48, 0x8d, 0x64, 0x24, 0xf8 };	/* lea -8(%rsp), %rsp */
	static const u8 go_elsewhere[] = { 0xff, 0x64, 0x24, (u8)-ARCH_STUB_TARGET };	/* jmp *-24(%rsp) */
	u8 *p = out;

#define EMIT(bytes)	do { ft_memcpy(p, bytes, sizeof(bytes)); p += sizeof(bytes); } while (0)
#define EMIT_ID(event)	do { *p++ = 0x41; *p++ = 0xbb; put32(p, (s64)site->id << 2 | (event)); \
			     p += 4; } while (0)
	EMIT(push_r11);
	EMIT_ID(0);					/* FTRACE_EVENT_ENTRY */
	p = call_site_member(p, out, offsetof(struct dyn_ftrace, entry));
	EMIT(pop_r11);
	*p++ = 0x73;					/* jnc */
	*p = (u8)(ARCH_STUB_GO - (p + 1 - out));
	p++;
	EMIT(drop_slot);
	*p = OP_CALL;
	displacement(p + 1, stub + (p - out), arch_site_body(site));
	p += 5;
	EMIT(make_slot);				/* at ARCH_STUB_RET */
	EMIT(push_r11);
	EMIT_ID(1);					/* FTRACE_EVENT_EXIT */
	p = call_site_member(p, out, offsetof(struct dyn_ftrace, exit));
	EMIT(pop_r11);
	*p++ = 0xc3;
	*p++ = 0x70;					/* jo, at ARCH_STUB_GO */
	*p = (u8)(ARCH_STUB_ELSEWHERE - (p + 1 - out));
	p++;
	*p = OP_JMP;					/* at ARCH_STUB_BODY */
	displacement(p + 1, stub + (p - out), arch_site_body(site));
	p += 5;
	EMIT(go_elsewhere);				/* at ARCH_STUB_ELSEWHERE */
	ft_memset(p, 0xcc, FTRACE_STUB_SIZE - (p - out));
#undef EMIT
#undef EMIT_ID
}

#else /* i386 */

/* A call through the pointer at offset @member of the dyn_ftrace of the stub at @stub. */
static u8 *call_site_member(u8 *p, unsigned long stub, size_t member)
{
	p[0] = 0xff;
	p[1] = 0x15;
	put32(p + 2, (s64)(stub + FTRACE_CHUNK_CODE + member));
	return p + 6;
}

static u8 *push_id(u8 *p, const struct dyn_ftrace *site, u32 event)
{
	*p = 0x68;
	put32(p + 1, (s64)site->id << 2 | event);
	return p + 5;
}

static u8 *move_sp(u8 *p, u8 by)	/* lea by(%esp), %esp */
{
	p[0] = 0x8d;
	p[1] = 0x64;
	p[2] = 0x24;
	p[3] = by;
	return p + 4;
}

static u8 *branch(u8 *p, u8 op, unsigned long at, unsigned long to)
{
	*p = op;
	displacement(p + 1, at, to);
	return p + 5;
}

void arch_stub_write(u8 *out, const struct dyn_ftrace *site, unsigned long stub)
{
	unsigned long body = arch_site_body(site);
	u8 *p = out;

	p = push_id(p, site, 0);			/* FTRACE_EVENT_ENTRY */
	p = call_site_member(p, stub, offsetof(struct dyn_ftrace, entry));
	*p++ = 0x73;					/* jnc, at ARCH_STUB_ENTRY_RET */
	*p = (u8)(ARCH_STUB_BODY - (p + 1 - out));
	p++;
	p = move_sp(p, 4);				/* at ARCH_STUB_HOOKED */
	p = branch(p, OP_CALL, stub + (p - out), body);
	p = move_sp(p, (u8)-4);				/* at ARCH_STUB_RET */
	p = push_id(p, site, 1);			/* FTRACE_EVENT_EXIT */
	p = call_site_member(p, stub, offsetof(struct dyn_ftrace, exit));
	*p++ = 0xc3;					/* at ARCH_STUB_EXIT_RET */
	p = branch(p, OP_JMP, stub + (p - out), body);	/* at ARCH_STUB_BODY */
	ft_memset(p, 0xcc, FTRACE_STUB_SIZE - (p - out));
}

#endif
