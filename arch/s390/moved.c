/* SPDX-License-Identifier: MIT */
/*
 * Functions that were never compiled for tracing are not traced on this machine: nobody makes plans
 * for it (planner/), so nothing of FTRACE_FORM_MOVED ever comes here. What the engine would ask for then
 * says so.
 */
#include "arch.h"

int arch_copy_write(u8 *out, unsigned long at, unsigned long base, const struct ftrace_template *t)
{
	return -EOPNOTSUPP;
}

const char *arch_moved_check(const u8 *now, const u8 *orig, unsigned int len)
{
	return "functions never compiled for tracing cannot be traced on this machine";
}

void arch_short_jump(u8 *out, unsigned int back)
{
	/* Never asked for: nothing is moved here. */
	ft_memset(out, ARCH_STUB_FILL, ARCH_SHORT_SIZE);
}

unsigned long arch_resolve(unsigned long resolver)
{
	return 0;
}
