/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into any test program: traces all of its functions through the library's API, with
 * callbacks that overwrite every register the ABI lets a callback overwrite.
 *
 * FTRACE_TEST_API: minimal, regs, general, several, graph, all; replaced: nothing is traced, but step.c's leaf() is
 * replaced, and back, again and again, by a transition that a thread holds up for some time. FTRACE_TEST_COUNTER: a file of 16
 * bytes, mapped shared: callbacks at entries and at returns are counted there.
 */
#define _GNU_SOURCE
#include <ftrace/fgraph.h>
#include <ftrace/livepatch.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NO_TRACE	__attribute__((patchable_function_entry(0)))

static unsigned long long private_counters[2], *counters = private_counters;

/* Everything call-clobbered that inline assembly can reach. */
#ifdef __x86_64__
#define CLOBBER_GENERAL()							\
	__asm__ volatile("mov $-1, %%rax; mov %%rax, %%rcx; mov %%rax, %%rdx; mov %%rax, %%rsi\n\t"	\
			 "mov %%rax, %%rdi; mov %%rax, %%r8; mov %%rax, %%r9; mov %%rax, %%r10\n\t"	\
			 "mov %%rax, %%r11; stc" ::: "rax", "rcx", "rdx", "rsi", "rdi", "r8",	\
			 "r9", "r10", "r11", "cc", "memory")
#define CLOBBER_SSE()								\
	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0; movaps %%xmm0, %%xmm1; movaps %%xmm0, %%xmm2\n\t"	\
			 "movaps %%xmm0, %%xmm3; movaps %%xmm0, %%xmm4; movaps %%xmm0, %%xmm5\n\t"	\
			 "movaps %%xmm0, %%xmm6; movaps %%xmm0, %%xmm7; movaps %%xmm0, %%xmm8\n\t"	\
			 "movaps %%xmm0, %%xmm9; movaps %%xmm0, %%xmm10; movaps %%xmm0, %%xmm11\n\t"	\
			 "movaps %%xmm0, %%xmm12; movaps %%xmm0, %%xmm13; movaps %%xmm0, %%xmm14\n\t"	\
			 "movaps %%xmm0, %%xmm15" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",	\
			 "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",	\
			 "xmm14", "xmm15", "memory")
#define CLOBBER_X87()	do { } while (0)		/* the ABI passes and keeps nothing there */
#elif defined(__s390__)
#define CLOBBER_GENERAL()							\
	__asm__ volatile("lhi %%r0, -1; lr %%r1, %%r0; lr %%r2, %%r0; lr %%r3, %%r0\n\t"		\
			 "lr %%r4, %%r0; lr %%r5, %%r0; cr %%r0, %%r1"			\
			 ::: "r0", "r1", "r2", "r3", "r4", "r5", "cc", "memory")
#define CLOBBER_SSE()								\
	__asm__ volatile(".irp n, 0,1,2,3,4,5,6,7\n\tlzdr %%f\\n\n\t.endr"			\
			 ::: "f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "memory")
#define CLOBBER_X87()	do { } while (0)
#else
#define CLOBBER_GENERAL()							\
	__asm__ volatile("mov $-1, %%eax; mov %%eax, %%ecx; mov %%eax, %%edx; stc"		\
			 ::: "eax", "ecx", "edx", "cc", "memory")
#define CLOBBER_SSE()								\
	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0; movaps %%xmm0, %%xmm1; movaps %%xmm0, %%xmm2\n\t"	\
			 "movaps %%xmm0, %%xmm3; movaps %%xmm0, %%xmm4; movaps %%xmm0, %%xmm5\n\t"	\
			 "movaps %%xmm0, %%xmm6; movaps %%xmm0, %%xmm7" ::: "memory")
/* All eight registers of its stack, which a function finds empty. */
#define CLOBBER_X87()								\
	__asm__ volatile("fldpi; fldpi; fldpi; fldpi; fldpi; fldpi; fldpi; fldpi\n\t"		\
			 "fstp %%st(0); fstp %%st(0); fstp %%st(0); fstp %%st(0)\n\t"		\
			 "fstp %%st(0); fstp %%st(0); fstp %%st(0); fstp %%st(0)" ::: "memory")
#endif

static NO_TRACE void clobber(int vectors)
{
	if (vectors) {
		CLOBBER_SSE();
		CLOBBER_X87();
#ifndef __s390__
		if (__builtin_cpu_supports("avx"))
			__asm__ volatile("vzeroall" ::: "memory");
#endif
	}
	CLOBBER_GENERAL();
}

static NO_TRACE void count_entry(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
				 struct pt_regs *regs)
{
	(void)ip, (void)parent_ip, (void)regs;
	__atomic_fetch_add(&counters[0], 1, __ATOMIC_RELAXED);
	clobber(!(op->flags & FTRACE_OPS_FL_GENERAL_REGS));
}

static NO_TRACE int graph_entry(struct ftrace_graph_ent *trace, struct fgraph_ops *gops,
				struct pt_regs *regs)
{
	(void)trace, (void)gops, (void)regs;
	__atomic_fetch_add(&counters[0], 1, __ATOMIC_RELAXED);
	clobber(1);
	return 1;
}

static NO_TRACE void graph_return(struct ftrace_graph_ret *trace, struct fgraph_ops *gops,
				  struct pt_regs *regs)
{
	(void)trace, (void)gops, (void)regs;
	__atomic_fetch_add(&counters[1], 1, __ATOMIC_RELAXED);
	clobber(1);
}

static struct ftrace_ops minimal = { .func = count_entry };
static struct ftrace_ops regs = { .func = count_entry, .flags = FTRACE_OPS_FL_SAVE_REGS };
static struct ftrace_ops general = { .func = count_entry, .flags = FTRACE_OPS_FL_GENERAL_REGS };
static struct fgraph_ops graph = { .entryfunc = graph_entry, .retfunc = graph_return };
static struct fgraph_ops graph_two = { .entryfunc = graph_entry, .retfunc = graph_return };

static NO_TRACE void must(int error, const char *what)
{
	if (error == -ENODEV)	/* a shell or the like that the program started */
		return;
	if (error) {
		fprintf(stderr, "api_all: %s: %s\n", what, strerror(-error));
		_exit(97);
	}
}

/* ---- replaced ---- */

static int hold_fds[2];

/* What a thread is in that holds the transition up. */
__attribute__((noinline, patchable_function_entry(5))) int api_hold(int fd)
{
	char c;

	return (int)read(fd, &c, 1) + 1;
}

static NO_TRACE int not_held(int fd)
{
	return fd;
}

static NO_TRACE long leaf2(long n)
{
	__atomic_fetch_add(&counters[0], 1, __ATOMIC_RELAXED);
	clobber(1);
	return n * 3;
}

static NO_TRACE void *hold(void *arg)
{
	(void)arg;
	api_hold(hold_fds[0]);
	return NULL;
}

/* Until the program ends. */
static NO_TRACE void *replace_and_back(void *arg)
{
	static struct klp_func leaf[] = { { .old_name = "leaf", .new_func = (void *)leaf2 }, { } };
	static struct klp_func held[] = { { .old_name = "api_hold", .new_func = (void *)not_held },
					  { } };
	static struct klp_object objs[] = { { .funcs = leaf }, { .funcs = held }, { } };
	static struct klp_patch patch = { .name = "leaf", .objs = objs };
	Dl_info info;

	(void)arg;
	if (!dladdr((void *)api_hold, &info))
		_exit(97);
	objs[1].name = info.dli_fname;
	for (;;) {
		must(klp_enable_patch(&patch), "enable");
		for (int i = 0; i < 20; i++) {
			usleep(2000);
			klp_transition_work();
		}
		must(klp_disable_patch(&patch), "disable");	/* turns it round */
		while (klp_wait_transition(1000))
			;
	}
	return NULL;
}

static NO_TRACE void start_replacing(void)
{
	sigset_t all, before;
	pthread_t t;

	sigfillset(&all);		/* signals are the program's own threads' */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pipe(hold_fds) || pthread_create(&t, NULL, hold, NULL))
		_exit(97);
	usleep(50000);
	if (pthread_create(&t, NULL, replace_and_back, NULL))
		_exit(97);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	usleep(20000);
}

static __attribute__((constructor)) NO_TRACE void begin(void)
{
	const char *mode = getenv("FTRACE_TEST_API"), *path = getenv("FTRACE_TEST_COUNTER");

	if (!mode)
		return;
	if (path) {
		int fd = open(path, O_RDWR | O_CLOEXEC);
		void *map = fd < 0 ? MAP_FAILED
				   : mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (map == MAP_FAILED) {
			perror(path);
			_exit(97);
		}
		counters = map;
		close(fd);
	}
	if (!strcmp(mode, "minimal") || !strcmp(mode, "several") || !strcmp(mode, "all"))
		must(register_ftrace_function(&minimal), "minimal");
	if (!strcmp(mode, "regs") || !strcmp(mode, "several") || !strcmp(mode, "all"))
		must(register_ftrace_function(&regs), "regs");
	if (!strcmp(mode, "general") || !strcmp(mode, "several"))
		must(register_ftrace_function(&general), "general");
	if (!strcmp(mode, "graph") || !strcmp(mode, "all"))
		must(register_ftrace_graph(&graph), "graph");
	if (!strcmp(mode, "all"))
		must(register_ftrace_graph(&graph_two), "second graph");
	if (!strcmp(mode, "replaced"))
		start_replacing();
}
