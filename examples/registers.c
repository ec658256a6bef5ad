/* SPDX-License-Identifier: MIT */
/*
 * registers: a program that traces itself, and sees every register of every call.
 *
 *	cc -O2 -fpatchable-function-entry=5 registers.c $(pkg-config --cflags --libs libftrace)
 */
#include <stdio.h>
#include <string.h>

#include <ftrace/ftrace.h>

/* The empty asm keeps the compiler from calling them once only, for the same arguments. */
__attribute__((noinline)) long add(long a, long b)
{
	asm volatile("");
	return a + b;
}

__attribute__((noinline)) long scale(long a, long factor)
{
	asm volatile("");
	return add(a * factor, 0);
}

/* Called at each entry; RECURSION in its flags lets it call what is traced itself. */
static void show(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		 struct pt_regs *regs)
{
	(void)op;
	printf("%#lx called from %#lx: arguments %ld, %ld; stack at %#lx\n", ip, parent_ip,
	       (long)regs_get_argument(regs, 0), (long)regs_get_argument(regs, 1),
	       user_stack_pointer(regs));
}

/* Changes what the function gets: every register is put back as the callback leaves it. */
static void double_first(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
			 struct pt_regs *regs)
{
	int offset = regs_query_register_offset("di");

	(void)ip;
	(void)parent_ip;
	(void)op;
	if (offset >= 0)
		*(unsigned long *)((char *)regs + offset) *= 2;
}

static struct ftrace_ops shower = {
	.func = show,
	.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_RECURSION,
};
static struct ftrace_ops doubler = { .func = double_first, .flags = FTRACE_OPS_FL_SAVE_REGS };

int main(void)
{
	if (ftrace_set_filter(&shower, "add scale", strlen("add scale"), 1) ||
	    register_ftrace_function(&shower))
		return 1;
	printf("scale(2, 10) is %ld\n", scale(2, 10));
	unregister_ftrace_function(&shower);

	if (ftrace_set_filter(&doubler, "scale", strlen("scale"), 1) ||
	    register_ftrace_function(&doubler))
		return 1;
	printf("scale(2, 10) is %ld with its first argument doubled\n", scale(2, 10));
	unregister_ftrace_function(&doubler);
	printf("scale(2, 10) is %ld again\n", scale(2, 10));
	return 0;
}
