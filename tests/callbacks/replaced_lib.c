/* SPDX-License-Identifier: MIT */
/* For replaced.c: a callback that calls a traced function of the same library, and nothing by a linkage table. */
#include <ftrace/ftrace.h>

#define HIDDEN_TRACED	__attribute__((noinline, noclone, visibility("hidden"), patchable_function_entry(5)))

void later_callback(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op, struct pt_regs *regs);
void swapped_later(void);

HIDDEN_TRACED void swapped_later(void)
{
	__asm__ volatile("");
}

void later_callback(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op, struct pt_regs *regs)
{
	(void)ip;
	(void)parent_ip;
	(void)op;
	(void)regs;
	swapped_later();
	__asm__ volatile("");
}
