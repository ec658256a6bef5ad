/* SPDX-License-Identifier: MIT */
/* Functions whose return address must stay where it is. */
#include "entry-only.h"

/* Without leading underscores: libc has setjmp, _setjmp and __setjmp. */
static const char *const names[] = {
	/* They return twice, the second time by an address that the first return used up. */
	"setjmp", "sigsetjmp", "savectx", "vfork", "libc_vfork", "rfork",
	"getcontext", "makecontext", "swapcontext",
	/* They look up the object that called them by their return address. */
	"dlopen", "dlmopen", "dlsym", "dlvsym", "dlclose",
	"libc_dlopen_mode", "libc_dlsym", "libc_dlvsym",
	/* The unwinder: they begin at their own frame, and return elsewhere. */
	"Unwind_RaiseException", "Unwind_Resume", "Unwind_Resume_or_Rethrow",
	"Unwind_ForcedUnwind", "Unwind_Backtrace", "builtin_eh_return",
	/* Split stacks: it goes on in its caller's middle. */
	"morestack", "morestack_non_split",
};

#define LETTER(c)	(1ull << ((c) - 64))
static const u64 initials = LETTER('b') | LETTER('d') | LETTER('g') | LETTER('l') | LETTER('m') | LETTER('r') |
			    LETTER('s') | LETTER('v') | LETTER('U');

bool entry_only_name(const char *name, size_t len)
{
	size_t i;

	while (len && *name == '_')
		name++, len--;
	/* No other letter begins any of them: nearly every name is out here. */
	if (!len || (u8)(*name - 64) >= 64 || !(initials >> (*name - 64) & 1))
		return false;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (*names[i] == *name && ft_strncmp(names[i], name, len) == 0 &&
		    !names[i][len])
			return true;
	return false;
}
