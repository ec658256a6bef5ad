// SPDX-License-Identifier: MIT
//
// Single-steps through calls of functions whose first instructions were moved, and walks the stack at every
// instruction: each walk must see all callers up to main, every frame with a CFA of its own. TAP. Arguments: the
// plan, "graph" or "function".
#include <cstring>

#include "../unwind/walk.h"
extern "C" {
#include "moved-test.h"
#include "chunk.h"
#include <ftrace/fgraph.h>
#include <ftrace/ftrace.h>
}

#define TRACED extern "C" __attribute__((noinline, noclone))

static volatile int sink;

static long steps, lost, unordered, in_copy;
static unsigned long lost_at;
static volatile sig_atomic_t stepping, trapping;
static bool stood[64][FTRACE_COPY_SIZE];	// by site and offset
static u32 first_id;

static void on_trap(int, siginfo_t *, void *context)
{
	unsigned long pc = static_cast<ucontext_t *>(context)->uc_mcontext.gregs[REG_RIP];
	walk w;
	bool copy = false;

	if (!stepping)
		return;
	for (u32 i = 0; i < 64 && ftrace_site(first_id + i); i++)
		if (pc - ftrace_copy(first_id + i) < FTRACE_COPY_SIZE) {
			copy = true;
			stood[i][pc - ftrace_copy(first_id + i)] = true;
		}
	steps++;
	w = walk_stack();
	in_copy += copy;
	if (!w.at_main) {
		lost++;
		lost_at = pc;
	}
	unordered += !w.order;
}

// Entries of many kinds.
TRACED int t_leaf(int x)
{
	return x * 3 + sink;
}

TRACED int t_framed(int x)
{
	char *room = static_cast<char *>(__builtin_alloca(x % 64 + 16));

	memset(room, x, 16);
	sink = room[3];
	return t_leaf(x);
}

TRACED int t_saves(int a, int b, int c, int d)
{
	int e = t_leaf(a), f = t_leaf(b), g = t_leaf(c), h = t_leaf(d);

	return e * b + f * c + g * d + h * a + t_leaf(e) * f + g - h;
}

TRACED int t_large(int x)
{
	volatile int room[300];

	room[x % 300] = x;
	room[1] = t_leaf(x);
	return room[x % 300] + room[1];
}

TRACED int t_branch(int x)
{
	if (!x)
		return 1;
	sink = t_leaf(x);
	return sink + x;
}

TRACED double t_double(double x, int y)
{
	return x * y + t_leaf(y);
}

// A call as its first instruction, then a jump; a frame pointer; saved registers.
asm(".text\n.p2align 4\n.globl t_call\n.type t_call, @function\n"
    "t_call: .cfi_startproc\n"
    "	call	t_leaf_of_call\n"
    "	add	$1, %eax\n"
    "	ret\n"
    ".cfi_endproc\n.size t_call, .-t_call\n"
    ".p2align 4\n.globl t_push_call\n.type t_push_call, @function\n"
    "t_push_call: .cfi_startproc\n"
    "	push	%rbx\n"
    "	.cfi_def_cfa_offset 16\n.cfi_offset %rbx, -16\n"
    "	call	t_leaf_of_call\n"
    "	pop	%rbx\n"
    "	.cfi_def_cfa_offset 8\n"
    "	ret\n"
    ".cfi_endproc\n.size t_push_call, .-t_push_call\n"
    ".p2align 4\n.globl t_rbp\n.type t_rbp, @function\n"
    "t_rbp: .cfi_startproc\n"
    "	push	%rbp\n"
    "	.cfi_def_cfa_offset 16\n.cfi_offset %rbp, -16\n"
    "	mov	%rsp, %rbp\n"
    "	.cfi_def_cfa_register %rbp\n"
    "	push	%r12\n"
    "	.cfi_offset %r12, -24\n"
    "	push	%rbx\n"
    "	.cfi_offset %rbx, -32\n"
    "	call	t_leaf_of_call\n"
    "	pop	%rbx\n"
    "	pop	%r12\n"
    "	pop	%rbp\n"
    "	.cfi_def_cfa %rsp, 8\n"
    "	ret\n"
    ".cfi_endproc\n.size t_rbp, .-t_rbp\n"
    ".p2align 4\n.globl t_jump\n.type t_jump, @function\n"
    "t_jump: .cfi_startproc\n"
    "	test	%edi, %edi\n"
    "	je	1f\n"
    "	mov	%edi, %eax\n"
    "	imul	%eax, %eax\n"
    "	ret\n"
    "1:	mov	$7, %eax\n"
    "	ret\n"
    ".cfi_endproc\n.size t_jump, .-t_jump\n");
extern "C" int t_call(int), t_push_call(int), t_rbp(int), t_jump(int);

extern "C" int t_leaf_of_call(int x)
{
	sink = sink + 1;
	return x ^ 5;
}

extern "C" __attribute__((noinline)) int drive(int n)
{
	int r = 0;

	for (int i = 0; i < n; i++) {
		stepping = 0;
		if (trapping)
			walk_steps(true);
		stepping = trapping;
		r += t_leaf(i) + t_framed(i) + t_saves(i, 2, 3, 4) + t_large(i) + t_branch(i % 2);
		r += (int)t_double(2.5, i) + t_call(i) + t_push_call(i) + t_rbp(i) + t_jump(i % 2);
	}
	stepping = 0;
	walk_steps(false);
	WALK_END(drive);
	return r;
}

static long entered, returned;

static void hit(unsigned long, unsigned long, struct ftrace_ops *, struct pt_regs *)
{
	entered++;
}

static int graph_entry(struct ftrace_graph_ent *, struct fgraph_ops *, struct pt_regs *)
{
	entered++;
	return 1;
}

static void graph_return(struct ftrace_graph_ret *, struct fgraph_ops *, struct pt_regs *)
{
	returned++;
}

static int count_sites(unsigned long, unsigned long entry, const char *name, void *data)
{
	if (!strncmp(name, "t_", 2))
		++*static_cast<int *>(data);
	return 0;
}

int main(int, char **argv)
{
	bool graph = argv[2] && !strcmp(argv[2], "graph");
	struct fgraph_ops gops = {};
	struct ftrace_ops ops = {};
	int r, plain, sites = 0, places = 0, copies = 0, err;

	WALK_BEGIN(main);
	plain = drive(4);
	sink = 0;

	gops.entryfunc = graph_entry;
	gops.retfunc = graph_return;
	ops.func = hit;
	ftrace_set_filter(graph ? &gops.ops : &ops, "t_*", 3, 1);
	err = graph ? register_ftrace_graph(&gops) : register_ftrace_function(&ops);
	ok(!err, "registered: %d", err);
	ftrace_for_each_function(count_sites, &sites);
	first_id = ftrace_site_at((unsigned long)t_leaf)->obj->first_site;
	for (u32 i = 0; i < 64; i++)
		if (ftrace_site(first_id + i) && ftrace_site(first_id + i)->ip == (unsigned long)t_leaf)
			break;
		else if (i == 63)
			first_id = ftrace_site_at((unsigned long)t_leaf)->id;
	walk_at_traps(on_trap);
	trapping = 1;
	r = drive(4);
	WALK_END(main);

	ok(r == plain, "result %d, untraced %d", r, plain);
	ok(sites >= 11, "%d functions", sites);
	ok(entered > 40, "%ld entered, %ld returned", entered, returned);
	for (u32 i = 0; i < 64 && ftrace_site(first_id + i); i++) {
		int here = 0;

		for (u32 k = 0; k < FTRACE_COPY_SIZE; k++)
			here += stood[i][k];
		places += here;
		copies += here > 0;
	}
	ok(in_copy > 100 && copies >= 10, "%ld steps, %ld of them at %d places of %d copies", steps, in_copy,
	   places, copies);
	ok(lost == 0, "%ld walks did not see drive and main, the last at %#lx", lost, lost_at);
	for (u32 i = 0; i < 64 && lost && ftrace_site(first_id + i); i++)
		if (lost_at - ftrace_copy(first_id + i) < FTRACE_COPY_SIZE)
			printf("# in %s's copy at %lu\n", ftrace_site(first_id + i)->name,
			       lost_at - ftrace_copy(first_id + i));
	ok(unordered == 0, "%ld walks with frames that share a CFA", unordered);
	return tap_done();
}
