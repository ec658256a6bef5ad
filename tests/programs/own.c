/* SPDX-License-Identifier: MIT */
/*
 * usage: own LIBRARY
 *
 * An ops with GENERAL_REGS that functions have to themselves, whose callback a trampoline of their own may call
 * (engine/trampoline.h): it is told of every call, once, with the right arguments, while others come and go in the
 * middle of them; of none while tracers are stopped; of those of a library (own_lib.c) that is loaded over and
 * over. Prints how many of the callbacks were called by code that is in no file.
 */
#include "t.h"
#include <dlfcn.h>
#include <ftrace/fgraph.h>
#include <link.h>
#include <pthread.h>

#define CALLBACK	__attribute__((noinline, patchable_function_entry(0), target("general-regs-only")))

static struct { unsigned long lo, hi; } made[64];
static int nmade;

static UNTRACED int look_for_made(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size, (void)data;
	if (!strcmp(info->dlpi_name, "[ftrace]") && nmade < 64) {
		made[nmade].lo = info->dlpi_addr + info->dlpi_phdr[0].p_vaddr;
		made[nmade].hi = made[nmade].lo + info->dlpi_phdr[0].p_memsz;
		nmade++;
	}
	return 0;
}

static UNTRACED void look(void)
{
	nmade = 0;
	dl_iterate_phdr(look_for_made, NULL);
}

static __thread long seen, own;
static __thread unsigned long expected_ip, expected_arg, wrong;

static struct ftrace_ops ours;

static CALLBACK void told(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op, struct pt_regs *regs)
{
	unsigned long caller = (unsigned long)__builtin_return_address(0);

	seen++;
	/* A return address that may be a stub's is the stub's business. */
	own += parent_ip % 64 == 28;
	for (int i = 0; i < nmade; i++)
		own += caller >= made[i].lo && caller < made[i].hi && parent_ip % 64 != 28;
	if (op != &ours || ip - expected_ip > 8 || instruction_pointer(regs) - ip > 8 ||
	    regs_get_argument(regs, 0) != expected_arg ||
	    parent_ip != *(unsigned long *)user_stack_pointer(regs) || (unsigned long)__builtin_frame_address(0) % 16)
		wrong++;
}

static CALLBACK void others(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op, struct pt_regs *regs)
{
	(void)ip, (void)parent_ip, (void)regs;
	__atomic_fetch_add((long *)op->private, 1, __ATOMIC_RELAXED);
}

static UNTRACED int enter(struct ftrace_graph_ent *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	(void)trace, (void)regs;
	__atomic_fetch_add((long *)gops->private, 1, __ATOMIC_RELAXED);
	return 1;
}

static UNTRACED void leave(struct ftrace_graph_ret *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	(void)trace, (void)gops, (void)regs;
}

static long counts[4];
static struct ftrace_ops ours = { .func = told, .flags = FTRACE_OPS_FL_GENERAL_REGS };
static struct ftrace_ops like = { .func = others, .private = &counts[0], .flags = FTRACE_OPS_FL_GENERAL_REGS };
static struct ftrace_ops plain = { .func = others, .private = &counts[1] };
static struct ftrace_ops regs = { .func = others, .private = &counts[2], .flags = FTRACE_OPS_FL_SAVE_REGS };
static struct fgraph_ops graph = { .entryfunc = enter, .retfunc = leave, .private = &counts[3] };

NOINLINE long hot(long x) { KEEP(); return x + 1; }

static UNTRACED void call(long (*f)(long), long x)
{
	expected_ip = (unsigned long)f;
	expected_arg = (unsigned long)x;
	KEEP();
	CHECK(f(x) == x + 1);
}

static volatile int stop;

static UNTRACED void *caller(void *arg)
{
	long calls = 0;

	(void)arg;
	while (!stop || calls < 1000) {
		call(hot, calls);
		calls++;
	}
	printf("thread: %s, %s\n", seen == calls ? "all calls" : "not all calls", wrong ? "wrong" : "right");
	if (seen != calls || wrong)
		printf("%ld calls, %ld callbacks, %lu wrong\n", calls, seen, wrong);
	return NULL;
}

/* The first time until they are told of a call, then for as short as can be. */
static UNTRACED void wait_for(int kind)
{
	while (!__atomic_load_n(&counts[kind], __ATOMIC_RELAXED))
		usleep(100);
}

static UNTRACED void come_and_go(int i)
{
	struct ftrace_ops *ops = i % 4 == 0 ? &like : i % 4 == 1 ? &plain : &regs;

	if (i % 4 == 3) {
		CHECK(!register_ftrace_graph(&graph));
		wait_for(3);
		CHECK(!unregister_ftrace_graph(&graph));
	} else {
		CHECK(!register_ftrace_function(ops));
		wait_for(ops == &like ? 0 : ops == &plain ? 1 : 2);
		CHECK(!unregister_ftrace_function(ops));
	}
}

static UNTRACED void filter(struct ftrace_ops *ops, const char *name)
{
	CHECK(!ftrace_set_filter(ops, name, (int)strlen(name), 0));
}

static UNTRACED void with_library(const char *path)
{
	long before;

	for (int i = 0; i < 30; i++) {
		void *library = dlopen(path, RTLD_NOW);
		long (*f)(long) = library ? (long (*)(long))dlsym(library, "own_library") : NULL;

		CHECK(f);
		look();
		before = own;
		seen = 0;
		for (long x = 0; x < 100; x++)
			call(f, x);
		CHECK(seen == 100 && !wrong);
		if (own - before < 99)
			printf("loaded %d times: %ld of 100 by its own\n", i + 1, own - before);
		CHECK(!dlclose(library));
		if (i % 3 == 2) {
			CHECK(!unregister_ftrace_function(&ours));
			CHECK(!register_ftrace_function(&ours));
		}
	}
	printf("library: all calls\n");
}

UNTRACED int main(int argc, char **argv)
{
	pthread_t threads[2];

	void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;

	CHECK(library);
	filter(&ours, "hot");
	filter(&ours, "own_library");
	CHECK(!dlclose(library));
	filter(&like, "hot");
	filter(&plain, "hot");
	filter(&regs, "hot");
	filter(&graph.ops, "hot");
	CHECK(!register_ftrace_function(&ours));
	look();
	for (long x = 0; x < 1000; x++)
		call(hot, x);
	CHECK(seen == 1000 && !wrong);
	printf("%s\n", own >= 999 ? "by its own" : own ? "some by its own" : "none by its own");

	ftrace_stop();
	for (long x = 0; x < 1000; x++)
		call(hot, x);
	CHECK(seen == 1000);
	ftrace_start();
	call(hot, 7);
	CHECK(seen == 1001 && !wrong);

	for (int i = 0; i < 2; i++)
		CHECK(!pthread_create(&threads[i], NULL, caller, NULL));
	for (int i = 0; i < 2000; i++)
		come_and_go(i);
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	own = 0;
	for (long x = 0; x < 1000; x++)
		call(hot, x);
	printf("%s\n", own >= 999 ? "by its own" : own ? "some by its own" : "none by its own");
	with_library(argv[1]);
	CHECK(!unregister_ftrace_function(&ours));
	seen = 0;
	call(hot, 1);
	CHECK(!seen);
	return 0;
}
