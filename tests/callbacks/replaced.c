/* SPDX-License-Identifier: MIT */
/*
 * replaced inside|later LIBRARY: what is seen of a callback (general.c) that calls a function which is replaced: from a
 * callback; or which comes with an object that is loaded later.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <ftrace/ftrace.h>

#include "../unwind/tap.h"

#define TRACED	__attribute__((noinline, noclone, patchable_function_entry(5)))
#define ARGS	unsigned long ip __attribute__((unused)), unsigned long parent_ip __attribute__((unused)), \
		struct ftrace_ops *op __attribute__((unused)), struct pt_regs *regs __attribute__((unused))

double target(double a, double b, double c);
void helper(void);
void elsewhere(void);
void swapped_here(void);

static volatile unsigned long hits;
static volatile int never;
static struct ftrace_ops ops;

TRACED double target(double a, double b, double c)
{
	__asm__ volatile("");
	return a + 10 * b + 100 * c;
}

TRACED void helper(void)
{
	hits++;
	__asm__ volatile("");
}

static void calls_helper(ARGS)
{
	helper();
	__asm__ volatile("");
}

static void clobbers(void)
{
	hits += 1000;
	__asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1; pxor %%xmm2, %%xmm2; pxor %%xmm3, %%xmm3"
			 : : : "xmm0", "xmm1", "xmm2", "xmm3");
}

static void redirect(ARGS)
{
	instruction_pointer_set(regs, (unsigned long)clobbers);
}

static bool is_general(void)
{
	return ops.flags & FTRACE_OPS_FL_GENERAL_REGS;
}

static int add(ftrace_func_t func)
{
	ops.func = func;
	ops.flags = 0;
	return register_ftrace_function(&ops);
}

static bool target_is_right(void)
{
	return target(1, 2, 3) == 321 && target(never + 4.0, 5, 6) == 654;
}

static struct ftrace_ops wanted = { .func = redirect, .flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY };
static int (*volatile registers)(struct ftrace_ops *) = register_ftrace_function;
static int inside_err;

static void registering(ARGS)
{
	inside_err = registers(&wanted);
}

TRACED void elsewhere(void)
{
	__asm__ volatile("");
}

/* From a callback, where others that run a function that is to be replaced cannot be waited for. */
static void inside(void)
{
	static struct ftrace_ops other = { .func = registering };
	double before, after;
	int err;

	ok(!add(calls_helper) && is_general() &&
	   !ftrace_set_filter(&wanted, "helper", strlen("helper"), 1) &&
	   !ftrace_set_filter(&other, "elsewhere", strlen("elsewhere"), 1) && !register_ftrace_function(&other),
	   "a callback that calls a traced function, another that is to replace that");
	elsewhere();
	before = target(1, 2, 3);
	ok(inside_err == -EDEADLK && is_general() && before == 321, "which is refused (%d)", inside_err);
	if (!inside_err)
		unregister_ftrace_function(&wanted);
	unregister_ftrace_function(&other);
	err = registers(&wanted);
	after = target(1, 2, 3);
	ok(!err && !is_general() && after == 321, "outside it is not (%d)", err);
	unregister_ftrace_function(&wanted);
	unregister_ftrace_function(&ops);
}

TRACED void swapped_here(void)
{
	__asm__ volatile("");
}

/* A callback that calls a function of its own library, for which a filter waited that sends its calls elsewhere. */
static void later(const char *path)
{
	static struct ftrace_ops modify = { .func = redirect,
					    .flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY };
	static struct ftrace_ops second;
	void *library;
	bool right;
	int err;

	ok(!ftrace_set_filter(&modify, "swapped_*", strlen("swapped_*"), 1) && !register_ftrace_function(&modify),
	   "functions that are replaced, others of such names to come");
	for (int i = 0; i < 2; i++) {
		library = dlopen(path, RTLD_NOW);
		hits = 0;
		right = library && !add((ftrace_func_t)(long)dlsym(library, "later_callback")) && !is_general();
		right &= target_is_right() && hits == 2000;
		ok(right && !unregister_ftrace_function(&ops), "a callback that calls one that came, time %d", i + 1);
		second = modify;
		second.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY;
		memset(second.reserved, 0, sizeof(second.reserved));
		ftrace_set_filter(&second, "swapped_later", strlen("swapped_later"), 1);
		err = register_ftrace_function(&second);
		ok(err == -EBUSY, "which nobody else may replace (%d)", err);
		if (!err)
			unregister_ftrace_function(&second);
		ftrace_free_filter(&second);
		dlclose(library);
	}
	unregister_ftrace_function(&modify);
}

int main(int argc, char **argv)
{
	ftrace_set_filter(&ops, "target", strlen("target"), 1);
	if (argc > 2)
		later(argv[2]);
	else
		inside();
	return tap_done();
}
