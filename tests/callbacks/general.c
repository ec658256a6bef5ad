/* SPDX-License-Identifier: MIT */
/*
 * general [ipmodify|probe]: of which callbacks the library sees that they leave vector registers alone, and what becomes of
 * that when a function they call is replaced, or probed. More of the latter: replaced.c.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ftrace/fgraph.h>
#include <ftrace/ftrace.h>
#include <ftrace/kprobes.h>

#include "../unwind/tap.h"

#define NOINLINE	__attribute__((noinline, noclone))
#define TRACED		__attribute__((noinline, noclone, patchable_function_entry(5)))
#define ARGS		unsigned long ip __attribute__((unused)), unsigned long parent_ip __attribute__((unused)), \
			struct ftrace_ops *op __attribute__((unused)), struct pt_regs *regs __attribute__((unused))

double target(double a, double b, double c);
void traced_helper(void);

static volatile unsigned long hits;
static volatile int never;

TRACED double target(double a, double b, double c)
{
	__asm__ volatile("");
	return a + 10 * b + 100 * c;
}

/* ---- callbacks that are ---- */

static void empty(ARGS)
{
}

static void counts(ARGS)
{
	hits++;
}

static NOINLINE void helper(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		hits++;
}

static void calls(ARGS)
{
	helper(1);
	if (never)
		helper(2);
	hits += 0;
}

static void tail_calls(ARGS)
{
	helper(ip != 0);
}

static NOINLINE void recursive(unsigned long n)
{
	if (n)
		recursive(n - 1);
	else
		hits++;
	__asm__ volatile("");
}

static void recurses(ARGS)
{
	recursive(3);
}

static void instructions(ARGS)
{
	unsigned long old = 0, one = 1;

	__asm__ volatile("rdtsc; bswap %%eax; movzbl %%al, %%eax; cpuid; lfence; mfence; pause"
			 : : : "eax", "ebx", "ecx", "edx", "memory");
	__asm__ volatile("lock; xadd %0, %1" : "+r"(old), "+m"(hits));
	__asm__ volatile("lock; xadd %0, %1; setc %%al; cmovc %0, %0" : "+r"(one), "+m"(hits) : : "eax");
}

/* A site of its own in it, which is switched on and off. */
TRACED void traced_helper(void)
{
	hits++;
	__asm__ volatile("");
}

static void calls_traced(ARGS)
{
	traced_helper();
	__asm__ volatile("");
}

/* ---- and such that are not, or of which it cannot be seen ---- */

static void vector(ARGS)
{
	hits++;
	__asm__ volatile("pxor %%xmm0, %%xmm0" : : : "xmm0");
}

static void sometimes(ARGS)
{
	hits++;
	if (never)
		__asm__ volatile("pxor %%xmm0, %%xmm0" : : : "xmm0");
}

static NOINLINE void deep_helper(unsigned long n)
{
	helper(n);
	__asm__ volatile("xorps %%xmm1, %%xmm1" : : : "xmm1");
}

static void deep(ARGS)
{
	deep_helper(1);
	__asm__ volatile("");
}

static void x87(ARGS)
{
	hits++;
	__asm__ volatile("fldz; fstp %%st(0)" : : : "memory");
}

static void (*volatile pointer)(unsigned long n) = helper;

static void through_pointer(ARGS)
{
	pointer(1);
	__asm__ volatile("");
}

static void through_table(ARGS)
{
	hits += getppid() != 0;
}

static void large(ARGS)
{
	hits++;
	__asm__ volatile(".skip 1100, 0x90");
}

/* A jump by a return, as compilers make it of a call through a pointer (-mindirect-branch=thunk-inline). */
static NOINLINE void clobbers(void)
{
	hits += 1000;
	__asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1; pxor %%xmm2, %%xmm2; pxor %%xmm3, %%xmm3"
			 : : : "xmm0", "xmm1", "xmm2", "xmm3");
}

#ifdef __x86_64__
#define STACK	"%%rsp"
#else
#define STACK	"%%esp"
#endif

static void through_retpoline(ARGS)
{
	static void (*volatile func)(void) = clobbers;

	__asm__ volatile("jmp 3f; 2: call 1f; 0: pause; lfence; jmp 0b; 1: mov %0, (" STACK "); ret; 3: call 2b"
			 : : "r"(func) : "memory", "ax", "cx", "dx");
}

static void through_push(ARGS)
{
	static void (*volatile func)(void) = clobbers;

	__asm__ volatile("jmp 3f; 2: push %0; ret; 3: call 2b" : : "r"(func) : "memory", "ax", "cx", "dx");
}

/* Another stack, on which something is returned to that this one's code says nothing of: a coroutine. */
void switch_stack(unsigned long *from, unsigned long *to);
void other_side(void);
#ifdef __x86_64__
__asm__(".text; switch_stack: mov %rsp, (%rdi); mov %rsi, %rsp; ret\n"
	"other_side: pxor %xmm0, %xmm0; mov (%rdi), %rsp; ret");
#else
__asm__(".text; switch_stack: mov 4(%esp), %eax; mov 8(%esp), %edx; mov %esp, (%eax); mov %edx, %esp; ret\n"
	"other_side: pxor %xmm0, %xmm0; mov (%eax), %esp; ret");
#endif

static void switches(ARGS)
{
	static unsigned long stack[8], from;

	stack[7] = (unsigned long)other_side;
	switch_stack(&from, &stack[7]);
	hits++;
}

static const struct {
	const char *name;
	ftrace_func_t func;
	bool general;
} callbacks[] = {
	{ "empty", empty, true }, { "counts", counts, true }, { "calls", calls, true },
	{ "tail_calls", tail_calls, true }, { "recurses", recurses, true }, { "instructions", instructions, true },
	{ "calls_traced", calls_traced, true },
	{ "vector", vector, false }, { "sometimes", sometimes, false }, { "deep", deep, false },
	{ "x87", x87, false }, { "through_pointer", through_pointer, false },
	{ "through_table", through_table, false }, { "large", large, false },
	{ "through_retpoline", through_retpoline, false }, { "through_push", through_push, false },
	{ "switches", switches, false },
};

/* ---- the tests ---- */

static struct ftrace_ops ops;

static bool is_general(void)
{
	return ops.flags & FTRACE_OPS_FL_GENERAL_REGS;
}

static int add(ftrace_func_t func, unsigned long flags)
{
	ops.func = func;
	ops.flags = flags;
	return register_ftrace_function(&ops);
}

static bool target_is_right(void)
{
	return target(1, 2, 3) == 321 && target(never + 4.0, 5, 6) == 654;
}

static void look(unsigned int i)
{
	unsigned long before = hits;
	bool right = true;

	for (int saved = 0; saved < 2; saved++) {
		right &= !add(callbacks[i].func, saved ? FTRACE_OPS_FL_SAVE_REGS : 0);
		right &= is_general() == callbacks[i].general && target_is_right();
		right &= !unregister_ftrace_function(&ops) && !is_general();
	}
	ok(right && (hits > before) == (callbacks[i].func != empty), "%s: %s", callbacks[i].name,
	   callbacks[i].general ? "seen to leave vectors alone" : "vectors are saved");
}

static void own_word(void)
{
	bool right = !add(vector, FTRACE_OPS_FL_GENERAL_REGS) && is_general();

	right &= !unregister_ftrace_function(&ops) && is_general();
	ok(right, "the caller's own word stays");
}

static int graph_entry(struct ftrace_graph_ent *trace __attribute__((unused)),
		       struct fgraph_ops *gops __attribute__((unused)), struct pt_regs *regs __attribute__((unused)))
{
	hits++;
	return 1;
}

static void graph_return(struct ftrace_graph_ret *trace __attribute__((unused)),
			 struct fgraph_ops *gops __attribute__((unused)), struct pt_regs *regs __attribute__((unused)))
{
	hits++;
}

static void graph_vector(struct ftrace_graph_ret *trace __attribute__((unused)),
			 struct fgraph_ops *gops __attribute__((unused)), struct pt_regs *regs __attribute__((unused)))
{
	hits++;
	__asm__ volatile("pxor %%xmm0, %%xmm0" : : : "xmm0");
}

static void graph(trace_func_graph_ret_t retfunc, bool general)
{
	static struct fgraph_ops gops;
	unsigned long before = hits;
	bool right;

	memset(&gops, 0, sizeof(gops));
	gops.entryfunc = graph_entry;
	gops.retfunc = retfunc;
	right = !ftrace_set_filter(&gops.ops, "target", strlen("target"), 1) && !register_ftrace_graph(&gops);
	right &= !!(gops.flags & FGRAPH_OPS_FL_GENERAL_REGS) == general && target_is_right() && hits == before + (retfunc ? 4 : 2);
	right &= !unregister_ftrace_graph(&gops) && !gops.flags;
	ok(right, "graph callbacks, %s", general ? "seen to leave vectors alone" : "vectors are saved");
	ftrace_free_filter(&gops.ops);
}

static int pre(struct kprobe *p __attribute__((unused)), struct pt_regs *regs __attribute__((unused)))
{
	hits++;
	return 0;
}

static int pre_calls(struct kprobe *p __attribute__((unused)), struct pt_regs *regs __attribute__((unused)))
{
	traced_helper();
	return 0;
}

static int pre_vector(struct kprobe *p __attribute__((unused)), struct pt_regs *regs __attribute__((unused)))
{
	hits++;
	__asm__ volatile("pxor %%xmm0, %%xmm0" : : : "xmm0");
	return 0;
}

static void post(struct kprobe *p __attribute__((unused)), struct pt_regs *regs __attribute__((unused)),
		 unsigned long flags __attribute__((unused)))
{
	hits++;
}

static void probe(kprobe_pre_handler_t handler, bool general)
{
	static struct kprobe kp;
	unsigned long before = hits;
	bool right;

	memset(&kp, 0, sizeof(kp));
	kp.symbol_name = "target";
	kp.pre_handler = handler;
	kp.post_handler = post;
	right = !register_kprobe(&kp) && !!(kp.flags & KPROBE_FLAG_GENERAL_REGS) == general;
	right &= target_is_right() && hits == before + 4;
	unregister_kprobe(&kp);
	right &= !(kp.flags & KPROBE_FLAG_GENERAL_REGS);
	ok(right, "a probe's handlers, %s", general ? "seen to leave vectors alone" : "vectors are saved");
}

static int ret_handler(struct kretprobe_instance *ri __attribute__((unused)),
		       struct pt_regs *regs __attribute__((unused)))
{
	hits++;
	return 0;
}

static int ret_vector(struct kretprobe_instance *ri __attribute__((unused)),
		      struct pt_regs *regs __attribute__((unused)))
{
	hits++;
	__asm__ volatile("pxor %%xmm0, %%xmm0" : : : "xmm0");
	return 0;
}

static void return_probe(kretprobe_handler_t handler, bool general)
{
	static struct kretprobe rp;
	unsigned long before = hits;
	bool right;

	memset(&rp, 0, sizeof(rp));
	rp.kp.symbol_name = "target";
	rp.handler = handler;
	right = !register_kretprobe(&rp) && !!(rp.kp.flags & KPROBE_FLAG_GENERAL_REGS) == general;
	right &= target_is_right() && hits == before + 2;
	unregister_kretprobe(&rp);
	ok(right, "a return probe's handler, %s", general ? "seen to leave vectors alone" : "vectors are saved");
}

/* ---- the code changes ---- */

static void redirect(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op, struct pt_regs *regs)
{
	(void)ip;
	(void)parent_ip;
	(void)op;
	instruction_pointer_set(regs, (unsigned long)clobbers);
}

static int probed(struct kprobe *p, struct pt_regs *regs)
{
	(void)p;
	instruction_pointer_set(regs, (unsigned long)clobbers);
	return 1;
}

/* The function that both a callback and a probe's handler call. */
static void changes(bool probe)
{
	static struct kprobe other = { .symbol_name = "target", .pre_handler = pre_calls };
	static struct ftrace_ops modify = { .func = redirect,
					    .flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY };
	static struct kprobe kp = { .symbol_name = "traced_helper", .pre_handler = probed };
	int err;

	ok(!add(calls_traced, 0) && is_general() && !register_kprobe(&other) &&
	   other.flags & KPROBE_FLAG_GENERAL_REGS && target_is_right(), "a callback, and a handler, that call a traced function");
	if (probe) {
		err = register_kprobe(&kp);
	} else {
		err = ftrace_set_filter(&modify, "traced_helper", strlen("traced_helper"), 1);
		if (!err)
			err = register_ftrace_function(&modify);
	}
	ok(!err && !is_general() && !(other.flags & KPROBE_FLAG_GENERAL_REGS), "which is %s: nothing is believed any more (%d)", probe ? "probed" : "replaced", err);
	hits = 0;
	/* A probe is not hit in a probe's handler. */
	ok(target_is_right() && hits == (probe ? 2002 : 4000), "what runs instead changes vectors, and they are put back");
	if (probe)
		unregister_kprobe(&kp);
	else
		unregister_ftrace_function(&modify);
	unregister_kprobe(&other);
	ok(!unregister_ftrace_function(&ops) && !add(empty, 0) && !is_general(), "for good");
}

int main(int argc, char **argv)
{
	ftrace_set_filter(&ops, "target", strlen("target"), 1);
	if (argc > 1) {
		changes(!strcmp(argv[1], "probe"));
		return tap_done();
	}
	for (unsigned int i = 0; i < sizeof(callbacks) / sizeof(callbacks[0]); i++)
		look(i);
	own_word();
	graph(graph_return, true);
	graph(graph_vector, false);
	graph(NULL, true);
	probe(pre, true);
	probe(pre_vector, false);
	return_probe(ret_handler, true);
	return_probe(ret_vector, false);
	return tap_done();
}
