/* SPDX-License-Identifier: MIT */
/* x86: copies of moved instructions, from their templates; see arch.h and plan.h. */
#include "arch.h"
#include "plan.h"

static void put(u8 *p, u64 value, unsigned int size)
{
	while (size--) {
		*p++ = (u8)value;
		value >>= 8;
	}
}

/* One field of the copy at @out, which will run at @at. */
static int fix(u8 *out, unsigned long at, unsigned long base, const struct ftrace_fixup *f,
	       unsigned int len)
{
	unsigned int size = f->kind == FTRACE_FIXUP_ABS64 ? 8 : 4;
	u64 value = base + f->vaddr;

	if (f->at > len || len - f->at < size)
		return -EINVAL;
	switch (f->kind) {
	case FTRACE_FIXUP_REL32:
		/* Addresses of 32 bits wrap, and everything is within reach. */
		value -= (u64)at + f->at + 4 + f->behind;
		if (sizeof(long) == 8 && value != (u64)(s64)(s32)value)
			return -ERANGE;
		break;
	case FTRACE_FIXUP_ABS32:
		if (value != (u32)value)
			return -ERANGE;
		break;
	case FTRACE_FIXUP_ABS64:
		break;
	default:
		return -EINVAL;
	}
	put(out + f->at, value, size);
	return 0;
}

int arch_copy_write(u8 *out, unsigned long at, unsigned long base, const struct ftrace_template *t)
{
	const struct ftrace_fixup *fixup = (const struct ftrace_fixup *)(t + 1);
	const struct ftrace_copied *copied = (const struct ftrace_copied *)(fixup + t->nfixups);
	const u8 *bytes = (const u8 *)(copied + t->ninsns);
	unsigned int i;
	int ret;

	if (t->len > FTRACE_COPY_SIZE)
		return -EINVAL;
	ft_memcpy(out, bytes, t->len);
	ft_memset(out + t->len, 0xcc, FTRACE_COPY_SIZE - t->len);
	for (i = 0; i < t->nfixups; i++) {
		ret = fix(out, at, base, &fixup[i], t->len);
		if (ret)
			return ret;
	}
	return 0;
}
