/* SPDX-License-Identifier: MIT */
/* Registers by name; see <ftrace/ptrace.h>. Which there are, the architecture says. */
#include <ftrace/ftrace.h>

#include "arch.h"

FTRACE_PUBLIC int regs_query_register_offset(const char *name)
{
	for (const struct arch_register *r = arch_registers; r->name; r++)
		if (!ft_strcmp(r->name, name))
			return (int)r->offset;
	return -EINVAL;
}

FTRACE_PUBLIC const char *regs_query_register_name(unsigned int offset)
{
	for (const struct arch_register *r = arch_registers; r->name; r++)
		if (r->offset == offset)
			return r->name;
	return NULL;
}
