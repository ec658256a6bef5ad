/* SPDX-License-Identifier: MIT */
/*
 * i386: which slot a function has returned from. Behind `ret` it is the word below the stack
 * pointer; functions that take their arguments off the stack (stdcall, a structure returned in
 * memory) leave it higher, by as much as is written in their `ret $n`. A hooked call's shadow says
 * whose it is, so the slot is searched for once, and what was found is kept with the site.
 */
#include <ftrace/ptrace.h>

#include "arch.h"
#include "site.h"

#define MAX_POP		0x10000ul	/* an instruction has 16 bits for it */

/* Called by entry-record-32.S, with @back as in arch-site.h. */
void ftrace_record_exit_slow(unsigned long id_event, unsigned long *back, unsigned long fp,
			     unsigned long stub_ret);
void ftrace_record_exit_again(unsigned long id_event, unsigned long *back, unsigned long fp,
			      unsigned long stub_ret);

static bool is_call_of(unsigned long slot, const struct dyn_ftrace *site)
{
	return ftrace_shadow_pages[slot / FT_PAGE_SIZE] &&
	       arch_shadow(slot)[ARCH_SHADOW_SITE] == (unsigned long)site->id << 2;
}

/*
 * The slot of the call of @site that left @back below its stack pointer: the highest that is not
 * above it. Its shadow is nobody's from then on, but the return address in it stays for
 * unwinders.
 */
static unsigned long take_slot(unsigned long back, struct dyn_ftrace *site)
{
	unsigned long slot = back - READ_ONCE(site->pop), n;

	if (!is_call_of(slot, site)) {
		for (n = 0; n != MAX_POP && !is_call_of(back - n, site); n += sizeof(long))
			;
		/* Assembly may have moved its return address up, into its arguments. */
		if (n == MAX_POP)
			for (n = 0; n != -MAX_POP && !is_call_of(back - n, site); n -= sizeof(long))
				;
		if (n == -MAX_POP) {
			ft_log(-EFAULT, "%s returned, and no call of it is known there: the program "
			       "cannot go on", site->name);
			__builtin_trap();
		}
		WRITE_ONCE(site->pop, (u32)n);
		slot = back - n;
	}
	arch_shadow(slot)[ARCH_SHADOW_SITE] = 0;
	return slot;
}

unsigned long arch_return_slot(const struct pt_regs *regs, struct dyn_ftrace *site)
{
	/* The stack pointer, behind the return, is what the function left. */
	return take_slot((unsigned long)&regs->esp - sizeof(long), site);
}

static struct dyn_ftrace *site_of(unsigned long stub_ret)
{
	return (struct dyn_ftrace *)(stub_ret - ARCH_STUB_EXIT_RET + FTRACE_CHUNK_CODE);
}

void ftrace_record_exit_slow(unsigned long id_event, unsigned long *back, unsigned long fp,
			     unsigned long stub_ret)
{
	unsigned long slot = take_slot((unsigned long)back, site_of(stub_ret));

	*back = arch_shadow(slot)[0];
	ftrace_record_slow(id_event, (unsigned long *)slot, fp);
}

/* The fast path has done all but the record. */
void ftrace_record_exit_again(unsigned long id_event, unsigned long *back, unsigned long fp,
			      unsigned long stub_ret)
{
	unsigned long slot = (unsigned long)back - READ_ONCE(site_of(stub_ret)->pop);

	ftrace_record_slow(id_event, (unsigned long *)slot, fp);
}
