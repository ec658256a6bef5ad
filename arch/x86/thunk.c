/* SPDX-License-Identifier: MIT */
/* x86_64: the code of a thunk; see ARCH_THUNK_DIRECT in arch-site.h. */
#include "arch.h"
#include "site.h"
#include "thunk.h"

static void put32(u8 *p, u32 value)
{
	ft_memcpy(p, &value, sizeof(value));
}

/* An indirect jump or call (ff /4, /2) through the pointer at offset @member of the thunk's data. */
static void through(u8 *code, unsigned int at, u8 modrm, size_t member)
{
	code[at] = 0xff;
	code[at + 1] = modrm;
	put32(code + at + 2, (u32)(FTRACE_CHUNK_CODE + member - (at + 6)));
}

bool arch_thunk_possible(const struct dyn_ftrace *site)
{
	/*
	 * A short site's jump stands before the function, where a thread may be about to execute it
	 * also while the site is off.
	 */
	return site->form != FTRACE_FORM_SHORT && site->form != FTRACE_FORM_MOVED &&
	       !ftrace_site_is_behind_prologue(site);
}

int arch_thunk_write(u8 *out, const struct dyn_ftrace *site, unsigned long at)
{
	const unsigned int call = ARCH_THUNK_DIRECT, jump = call + 6;
	s64 d = (s64)(arch_site_body(site) - (at + jump + 5));

	if (d != (s32)d)
		return -ERANGE;
	ft_memset(out, 0xcc, FTRACE_STUB_SIZE);
	through(out, 0, 0x25, offsetof(struct ftrace_thunk, target));
	through(out, call, 0x15, offsetof(struct ftrace_thunk, direct));
	out[jump] = 0xe9;
	put32(out + jump + 1, (u32)d);
	return 0;
}
