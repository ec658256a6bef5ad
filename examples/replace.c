/* SPDX-License-Identifier: MIT */
/*
 * replace: a function of the running program is replaced by another, as live patching does it:
 * a callback changes where execution continues.
 *
 *	cc -O2 -fpatchable-function-entry=5 replace.c $(pkg-config --cflags --libs libftrace)
 */
#include <stdio.h>
#include <string.h>

#include <ftrace/ftrace.h>

/* The bug: the sign of a negative price is lost. */
__attribute__((noinline)) long price(long cents)
{
	asm volatile("");	/* or the compiler would make one call of three */
	return cents < 0 ? -cents : cents;
}

__attribute__((noinline)) long price_fixed(long cents)
{
	return cents;
}

static void redirect(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		     struct pt_regs *regs)
{
	(void)ip;
	(void)parent_ip;
	instruction_pointer_set(regs, (unsigned long)op->private);
}

static struct ftrace_ops patch = {
	.func = redirect,
	.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY,
	.private = (void *)price_fixed,
};

int main(void)
{
	printf("price(-5) is %ld\n", price(-5));
	if (ftrace_set_filter(&patch, "price", strlen("price"), 1) ||
	    register_ftrace_function(&patch))
		return 1;
	printf("price(-5) is %ld, replaced\n", price(-5));
	if (unregister_ftrace_function(&patch))
		return 1;
	printf("price(-5) is %ld, as before\n", price(-5));
	return 0;
}
