/* SPDX-License-Identifier: MIT */
/*
 * onoff.so, for LD_PRELOAD: before main() every function is turned on and off again, so that the
 * program runs with its sites armed and off.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ftrace/ftrace.h>

static void empty(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		  struct pt_regs *regs)
{
	(void)ip;
	(void)parent_ip;
	(void)op;
	(void)regs;
}

static struct ftrace_ops ops = { .func = empty };

static void die(const char *what, int err)
{
	const char *why = strerror(-err);

	if (write(2, what, strlen(what)) < 0 || write(2, why, strlen(why)) < 0 ||
	    write(2, "\n", 1) < 0)
		_exit(126);
	_exit(125);
}

__attribute__((constructor)) static void on_and_off(void)
{
	int err = register_ftrace_function(&ops);

	if (err)
		die("onoff: register_ftrace_function: ", err);
	err = unregister_ftrace_function(&ops);
	if (err)
		die("onoff: unregister_ftrace_function: ", err);
}
