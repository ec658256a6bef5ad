/* SPDX-License-Identifier: MIT */
#include "stack-trace.h"

#include <ftrace/ptrace.h>

#include "arch.h"

FTRACE_INTERNAL u32 ftrace_stack_trace(struct pt_regs *regs, bool ret, unsigned long *ips, u32 max)
{
	if (!max)
		return 0;
	ips[0] = ret ? instruction_pointer(regs) :
		 ftrace_real_parent(*arch_return_address(regs), user_stack_pointer(regs));
	return 1;
}
