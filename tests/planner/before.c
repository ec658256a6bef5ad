/* SPDX-License-Identifier: MIT */
/*
 * A function like glibc's memcpy: another jumps to its fourth byte, a third falls through padding
 * into it. Switched on and off while threads run all three. TAP. Linked with the library's objects;
 * the first argument is the plan, the second how many times.
 */
#include <pthread.h>
#include <unistd.h>

#include <ftrace/fgraph.h>
#include <ftrace/ftrace.h>

#include "tests/moved/moved-test.h"

__asm__(".text\n.p2align 6\n"
	".globl falls\n.type falls, @function\n"
	"falls: .cfi_startproc\n"
	"	add $100, %rdi\n"
	"	.byte 0x66, 0x0f, 0x1f, 0x44, 0, 0\n"		/* 6 bytes, then 12 with the jump to the stub over the first */
	".cfi_endproc\n.size falls, .-falls\n"
	"	nopl 0x12345678(%rax)\n"
	"	.byte 0x66, 0x0f, 0x1f, 0x44, 0, 0\n"
	".globl whole\n.type whole, @function\n"
	"whole: .cfi_startproc\n"
	"	mov %rdi, %rax\n"
	".Linside: lea 1(%rax), %rax\n"
	"	lea 2(%rax), %rax\n"
	"	ret\n"
	".cfi_endproc\n.size whole, .-whole\n"
	"	.p2align 4\n"
	".globl jumps\n.type jumps, @function\n"
	"jumps: .cfi_startproc\n"
	"	mov %rdi, %rax\n"
	"	add $1000, %rax\n"
	"	jmp .Linside\n"
	".cfi_endproc\n.size jumps, .-jumps\n");
long whole(long x);
long falls(long x);
long jumps(long x);
extern const volatile unsigned char bytes_of_falls[] __asm__("falls"), bytes_of_whole[] __asm__("whole");

static volatile int stop, failed;
static volatile long hits, entered, returned;

static void *run(void *arg)
{
	long x = (long)arg;

	for (; !stop; x++)
		failed += whole(x) != x + 3 || falls(x) != x + 103 || jumps(x) != x + 1003;
	return NULL;
}

static void hit(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op, struct pt_regs *regs)
{
	__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
}

static int graph_entry(struct ftrace_graph_ent *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	__atomic_fetch_add(&entered, 1, __ATOMIC_RELAXED);
	return 1;
}

static void graph_return(struct ftrace_graph_ret *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	__atomic_fetch_add(&returned, 1, __ATOMIC_RELAXED);
}

static bool same(const unsigned char *kept, const volatile unsigned char *now)
{
	for (int i = 0; i < 9; i++)
		if (kept[i] != now[i])
			return false;
	return true;
}

#define NRUN 3

int main(int argc, char **argv)
{
	struct ftrace_ops ops = { .func = hit, .flags = FTRACE_OPS_FL_GENERAL_REGS };
	struct fgraph_ops gops = { .entryfunc = graph_entry, .retfunc = graph_return };
	/* The last instruction before whole(): an address that the planner must not see taken. */
	volatile int off = 17;
	const volatile unsigned char *before = bytes_of_falls + off;
	unsigned char kept[9];
	pthread_t running[NRUN];
	int times = argc > 2 ? atoi(argv[2]) : 1000, bad = 0;

	for (int i = 0; i < 9; i++)
		kept[i] = before[i];
	if (ftrace_set_filter(&ops, (char *)"whole", 5, 1) ||
	    ftrace_set_filter(&gops.ops, (char *)"whole", 5, 1))
		return 1;
	/* Alone: exactly counted, by whichever way it is entered. */
	bad += register_ftrace_function(&ops) != 0;
	ok(before[0] == 0xe9 && bytes_of_whole[0] == 0xeb, "a short jump, back to one in the padding");
	for (long i = 0; i < 1000; i++)
		failed += whole(i) != i + 3 || falls(i) != i + 103 || jumps(i) != i + 1003;
	ok(hits == 2000, "%ld calls of 2000", hits);
	bad += unregister_ftrace_function(&ops) != 0;
	ok(same(kept, before), "off: every byte is as it was");

	for (long i = 0; i < NRUN; i++)
		pthread_create(&running[i], NULL, run, (void *)i);
	for (int i = 0; i < times || hits == 2000 || !entered; i++) {
		int err = i % 2 ? register_ftrace_graph(&gops) : register_ftrace_function(&ops);

		bad += err != 0;
		if (i % 16 == 0)
			usleep(100);
		if (i % 2)
			unregister_ftrace_graph(&gops);
		else if (!err)
			bad += unregister_ftrace_function(&ops) != 0;
	}
	stop = 1;
	for (int i = 0; i < NRUN; i++)
		pthread_join(running[i], NULL);
	ok(bad == 0, "%d times on and off, %d failed", times, bad);
	ok(failed == 0, "%d wrong results", failed);
	ok(hits > 2000 && entered > 0 && entered >= returned, "%ld calls seen, %ld entered, %ld returned", hits,
	   entered, returned);
	ok(same(kept, before), "off: every byte is as it was");
	return tap_done();
}
