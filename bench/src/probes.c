/* SPDX-License-Identifier: MIT */
/*
 * probes ROUNDS REPS: what a probe with an empty handler costs a call, beside the callback it rides on, a bare
 * breakpoint to the return from its signal's handler, and a call without anything. x86_64.
 *
 * probes ROUNDS REPS FUNCTION: what a call of uprobed() or uprobed5() costs; somebody else has a probe there.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ftrace/ftrace.h>
#include <ftrace/kprobes.h>

#include "measure.h"

#define CALLS	256

__attribute__((noinline, patchable_function_entry(5))) static void entry(void)
{
	__asm__ volatile("");
}

/* Never prepared: one that a jump fits in, and one that it does not: a jump by a register is in it. */
void jumped(void);
void trapped(void);
extern char jumped_at[], trapped_at[];
__asm__(".text\n"
	".type jumped, @function\njumped: .cfi_startproc\n"
	"xorl %eax, %eax\njumped_at: leaq 0x1000(%rax), %rax\nret\n.cfi_endproc\n.size jumped, . - jumped\n"
	".type trapped, @function\ntrapped: .cfi_startproc\n"
	"xorl %eax, %eax\ntrapped_at: nop\nret\njmp *%rax\n.cfi_endproc\n.size trapped, . - trapped\n"
	".globl jumped, trapped, jumped_at, trapped_at\n");

static void run_entry(void)
{
	for (int i = 0; i < CALLS; i++)
		entry();
}

static void run_jumped(void)
{
	for (int i = 0; i < CALLS; i++)
		jumped();
}

static void run_trapped(void)
{
	for (int i = 0; i < CALLS; i++)
		trapped();
}

/* For the kernel's probes: at a nop, which it need not step over, and at one of five bytes, where newer ones put a call. */
void uprobed(void);
void uprobed5(void);
__asm__(".text\n"
	".globl uprobed, uprobed5\n"
	".p2align 4\n.type uprobed, @function\nuprobed: .cfi_startproc\n"
	"nop\nret\n.cfi_endproc\n.size uprobed, . - uprobed\n"
	".p2align 4\n.type uprobed5, @function\nuprobed5: .cfi_startproc\n"
	".byte 0x0f, 0x1f, 0x44, 0, 0\nret\n.cfi_endproc\n.size uprobed5, . - uprobed5\n");

static void run_uprobed(void)
{
	for (int i = 0; i < CALLS; i++)
		uprobed();
}

static void run_uprobed5(void)
{
	for (int i = 0; i < CALLS; i++)
		uprobed5();
}

static void run_bare(void)
{
	for (int i = 0; i < CALLS; i++)
		__asm__ volatile("int3");
}

static void check(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "probes: %s: %s\n", what, strerror(-err));
	exit(1);
}

/* ---- a handler of the kernel's own, whoever else has one ---- */

struct kernel_action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	unsigned long mask;
} bare_before;

void bare_return(void);
__asm__(".text\nbare_return: movq $15, %rax\nsyscall\n");

static void bare_handler(int sig)
{
	(void)sig;
}

static void add_bare(void)
{
	struct kernel_action act = { bare_handler, SA_NODEFER | 0x04000000, bare_return, 0 };

	check(syscall(SYS_rt_sigaction, SIGTRAP, &act, &bare_before, 8) ? -1 : 0, "rt_sigaction");
}

static void drop_bare(void)
{
	syscall(SYS_rt_sigaction, SIGTRAP, &bare_before, NULL, 8);
}

/* ---- probes ---- */

static unsigned long hits;

static int hit(struct kprobe *p, struct pt_regs *regs)
{
	(void)p;
	(void)regs;
	hits++;
	return 0;
}

static int returned(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	(void)ri;
	(void)regs;
	hits++;
	return 0;
}

static void callback(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		     struct pt_regs *regs)
{
	(void)ip;
	(void)parent_ip;
	(void)op;
	(void)regs;
	hits++;
}

static struct ftrace_ops ops;
static struct kprobe kp;
static struct kretprobe rp;

static void add_callback(void)
{
	ops = (struct ftrace_ops){ .func = callback, .flags = FTRACE_OPS_FL_SAVE_REGS };
	check(ftrace_set_filter_ip(&ops, (unsigned long)entry, 0, 1), "ftrace_set_filter_ip");
	check(register_ftrace_function(&ops), "register_ftrace_function");
}

static void drop_callback(void)
{
	unregister_ftrace_function(&ops);
	ftrace_free_filter(&ops);
}

static void add(void *at, unsigned int want, unsigned int not)
{
	kp = (struct kprobe){ .addr = at, .pre_handler = hit };
	check(register_kprobe(&kp), "register_kprobe");
	if (!(kp.flags & want) && want)
		check(-EOPNOTSUPP, "not the kind of probe that is measured");
	if (kp.flags & not)
		check(-EOPNOTSUPP, "not the kind of probe that is measured");
}

static void add_entry(void)
{
	add((void *)entry, KPROBE_FLAG_FTRACE, 0);
}

static void add_jump(void)
{
	add(jumped_at, KPROBE_FLAG_OPTIMIZED, 0);
}

static void add_trap(void)
{
	add(trapped_at, 0, KPROBE_FLAG_OPTIMIZED | KPROBE_FLAG_FTRACE);
}

static void drop(void)
{
	unregister_kprobe(&kp);
}

static void add_return(void)
{
	rp = (struct kretprobe){ .kp.addr = (kprobe_opcode_t *)entry, .handler = returned };
	check(register_kretprobe(&rp), "register_kretprobe");
}

static void drop_return(void)
{
	unregister_kretprobe(&rp);
}

/* The numbers mean nothing if the handlers do not run. */
static void prove(void (*prepare)(void), void (*run)(void), void (*finish)(void))
{
	hits = 0;
	prepare();
	run();
	finish();
	if (hits != CALLS) {
		fprintf(stderr, "probes: %lu calls of the handler, not %d\n", hits, CALLS);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 5, reps = argc > 2 ? atoi(argv[2]) : 200;
	struct kind kinds[] = {
		{ .name = "plain", .run = run_jumped, .calls = CALLS, .reps = reps },
		{ .name = "callback", .prepare = add_callback, .run = run_entry,
		  .finish = drop_callback, .calls = CALLS, .reps = reps },
		{ .name = "entry", .prepare = add_entry, .run = run_entry, .finish = drop,
		  .calls = CALLS, .reps = reps },
		{ .name = "jump", .prepare = add_jump, .run = run_jumped, .finish = drop,
		  .calls = CALLS, .reps = reps },
		{ .name = "return", .prepare = add_return, .run = run_entry, .finish = drop_return,
		  .calls = CALLS, .reps = reps },
		{ .name = "bare", .prepare = add_bare, .run = run_bare, .finish = drop_bare,
		  .calls = CALLS, .reps = reps / 20 + 1 },
		{ .name = "trap", .prepare = add_trap, .run = run_trapped, .finish = drop,
		  .calls = CALLS, .reps = reps / 20 + 1 },
	};

	if (argc > 3) {
		struct kind one = { .name = argv[3], .calls = CALLS, .reps = reps,
				    .run = strcmp(argv[3], "uprobed") ? run_uprobed5 : run_uprobed };

		measure(&one, 1, rounds);
		return 0;
	}
	prove(add_callback, run_entry, drop_callback);
	prove(add_entry, run_entry, drop);
	prove(add_jump, run_jumped, drop);
	prove(add_return, run_entry, drop_return);
	prove(add_trap, run_trapped, drop);
	measure(kinds, sizeof(kinds) / sizeof(kinds[0]), rounds);
	return 0;
}
