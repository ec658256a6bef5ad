/* SPDX-License-Identifier: MIT */
/*
 * usage: fidelity MODE ROUNDS SEED [upper]
 *
 * Random values in every register across the entry and the return of a traced function, compared
 * register by register. MODE says who traces it: none (nobody, or whoever recorded this program),
 * minimal, regs, general, several, graph, graph-general, both, twice (two graphs), change (the
 * callback changes the registers: the function must see the changed ones); replaced, replaced-gone,
 * replaced-stays (the function is replaced; while another thread holds the transition up; in the thread that
 * holds it up itself, and stays in the old version).
 *
 * Compared at the entry: every general register, sp, all vector registers 0-15 in full width,
 * x87 and mxcsr; flags in the modes that save them (otherwise arithmetic flags are dead at an
 * entry; DF is always compared). At the return: the same but for arithmetic flags. upper: also
 * zmm16-31 and k0-k7. Ends with "ok COUNT" and 0, or names the first difference and 1.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "state.h"
#ifdef MOVED		/* not compiled for tracing; the plan is an argument */
#include "../moved/moved-test.h"
#include "arch.h"
#endif
#include "attach.h"
#ifdef WITH_LIBRARY
#include <link.h>
#include <pthread.h>
#include <unistd.h>
#include <ftrace/fgraph.h>
#include <ftrace/livepatch.h>
#include "../unwind/reads.h"
#endif

/* What callbacks of ops with GENERAL_REGS run: the others overwrite vectors on purpose. */
#define CALLBACK	__attribute__((noinline, patchable_function_entry(0),	\
				       target("general-regs-only")))
#define FLAGS_ARITHMETIC	0x8d5ul	/* CF PF AF ZF SF OF */
#define FLAGS_DF		0x400ul

union state {
	uint8_t bytes[STATE_SIZE];
	uint64_t words[STATE_SIZE / 8];
};

extern union state fidelity_before, fidelity_inside, fidelity_result, fidelity_after;
extern uint64_t fidelity_sp;
extern int fidelity_level;
extern int fidelity_ran;	/* fidelity_target: 1, or what has replaced it: 2 */
void fidelity_call(void);
void fidelity_call_tail(void);
void fidelity_target(void);

static const char *const general_names[] = {
	"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13",
	"r14", "r15",
};
enum { RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8, R9, R10, R11, R12, R13, R14, R15 };
static int upper, flags_kept, failed, expected_ran = 1;
static int tail;	/* by fidelity_tail, whose switched-off site may change arithmetic flags */

/*
 * Trampolines save less where the upper halves of all zmm registers are 0. @how 0: they are; 1: but for one of them;
 * else none is.
 */
static UNTRACED void upper_halves(union state *s, unsigned int how)
{
	unsigned int one = how == 1 ? random64() % VECTORS : VECTORS;

	for (unsigned int v = 0; v < VECTORS && how < 2; v++)
		if (v != one)
			memset(s->bytes + STATE_VECTOR + 64 * v + 32, 0, 32);
	if (how == 1 && random64() % 2)		/* a single bit of it */
		memset(s->bytes + STATE_VECTOR + 64 * one + 32, 0, 31);
}

static UNTRACED void randomize(union state *s, int set_df)
{
	uint8_t clean[512] __attribute__((aligned(16)));

	for (unsigned int i = STATE_VECTOR / 8; i < STATE_SIZE / 8; i++)
		s->words[i] = random64();
	for (int i = 0; i < GENERALS; i++)
		s->words[STATE_GENERAL / 8 + i] &= ~0ul;	/* as wide as a register is */
#ifdef __x86_64__
	__asm__ volatile("fxsave64 %0" : "=m"(clean));
#else
	__asm__ volatile("fxsave %0" : "=m"(clean));
#endif
	memset(s->bytes, 0, 512);
	memcpy(s->bytes, clean, 32);
	/* x87: all exceptions masked, random precision and rounding, a random top, full or empty. */
	*(uint16_t *)(s->bytes + 0) = 0x3f | 0x40 | (2 + random64() % 2) << 8 | random64() % 4 << 10;
	*(uint16_t *)(s->bytes + 2) = (random64() % 8 << 11) | (random64() & 0x4700);
	s->bytes[4] = random64();
	for (int i = 0; i < 8; i++) {
		uint64_t mantissa = random64() | 1ull << 63;
		uint16_t exponent = random64() % 0x7ffe + 1;

		exponent |= random64() & 0x8000;
		memcpy(s->bytes + 32 + 16 * i, &mantissa, 8);
		memcpy(s->bytes + 40 + 16 * i, &exponent, 2);
	}
	/* mxcsr: masked, random rounding, flush and sticky bits; not what this CPU lacks. */
	*(uint32_t *)(s->bytes + 24) = 0x1f80 | (random64() & 0xe03f);
	upper_halves(s, random64() % 4);
	for (int v = 0; v < VECTORS; v++)
		memcpy(s->bytes + 160 + 16 * v, s->bytes + STATE_VECTOR + 64 * v, 16);
	s->words[STATE_FLAGS / 8] = (random64() & FLAGS_ARITHMETIC) | 0x202;
	if (set_df)
		s->words[STATE_FLAGS / 8] |= random64() & FLAGS_DF;
}

static UNTRACED void differ(const char *where, const char *name, int index, const void *expected,
			    const void *found, int size)
{
	failed = 1;
	printf("%s: %s%.0d: expected", where, name, index);
	for (int i = size - 1; i >= 0; i--)
		printf("%s%02x", i == size - 1 ? " " : "", ((const uint8_t *)expected)[i]);
	printf(", found");
	for (int i = size - 1; i >= 0; i--)
		printf("%s%02x", i == size - 1 ? " " : "", ((const uint8_t *)found)[i]);
	printf("\n");
}

static UNTRACED void compare(const char *where, const union state *expected,
			     const union state *found, uint64_t sp, uint64_t flags)
{
	static const int widths[] = { 16, 32, 64 };
	int width = widths[fidelity_level];
	int all = upper && fidelity_level == LEVEL_AVX512;
	int vectors = all ? UPPER_VECTORS : VECTORS;

	for (int i = 0; i < GENERALS; i++)
		if (expected->words[STATE_GENERAL / 8 + i] != found->words[STATE_GENERAL / 8 + i])
			differ(where, general_names[i], 0, &expected->words[STATE_GENERAL / 8 + i],
			       &found->words[STATE_GENERAL / 8 + i], 8);
	if (found->words[STATE_SP / 8] != sp)
		differ(where, "sp", 0, &sp, &found->words[STATE_SP / 8], 8);
	if ((expected->words[STATE_FLAGS / 8] ^ found->words[STATE_FLAGS / 8]) & flags)
		differ(where, "flags", 0, &expected->words[STATE_FLAGS / 8],
		       &found->words[STATE_FLAGS / 8], 8);
	for (int v = 0; v < VECTORS; v++)
		if (memcmp(expected->bytes + 160 + 16 * v, found->bytes + 160 + 16 * v, 16))
			differ(where, "xmm", v, expected->bytes + 160 + 16 * v,
			       found->bytes + 160 + 16 * v, 16);
	for (int v = 0; v < vectors && width > 16; v++)
		if (memcmp(expected->bytes + STATE_VECTOR + 64 * v,
			   found->bytes + STATE_VECTOR + 64 * v, width))
			differ(where, width == 64 ? "zmm" : "ymm", v,
			       expected->bytes + STATE_VECTOR + 64 * v,
			       found->bytes + STATE_VECTOR + 64 * v, width);
	for (int k = 0; k < 8 && all; k++)
		if (expected->words[STATE_MASK / 8 + k] != found->words[STATE_MASK / 8 + k])
			differ(where, "k", k, &expected->words[STATE_MASK / 8 + k],
			       &found->words[STATE_MASK / 8 + k], 8);
	for (int i = 0; i < 8; i++)
		if (memcmp(expected->bytes + 32 + 16 * i, found->bytes + 32 + 16 * i, 10))
			differ(where, "st", i, expected->bytes + 32 + 16 * i,
			       found->bytes + 32 + 16 * i, 10);
	if (memcmp(expected->bytes, found->bytes, 5))
		differ(where, "x87 control, status, tag", 0, expected->bytes, found->bytes, 5);
	if (memcmp(expected->bytes + 24, found->bytes + 24, 4))
		differ(where, "mxcsr", 0, expected->bytes + 24, found->bytes + 24, 4);
}

/* ---- the callbacks ---- */

static unsigned long callbacks;

#ifdef WITH_LIBRARY
/* Every register the ABI lets a callback change, as wide as the processor has them. */
#ifdef __x86_64__
#define ALL_VECTORS	"0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"
#define LOW_VECTORS	"0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"
#else
#define ALL_VECTORS	"0,1,2,3,4,5,6,7"
#define LOW_VECTORS	ALL_VECTORS
#endif
static CALLBACK void clobber(int vectors)
{
	if (vectors && fidelity_level == LEVEL_AVX512)
		__asm__ volatile(
			".irp v, " ALL_VECTORS "\n\t"
			"vpternlogd $255, %%zmm\\v, %%zmm\\v, %%zmm\\v\n\t"
			".endr\n\t"
			".irp k, 0,1,2,3,4,5,6,7\n\tkxnorw %%k\\k, %%k\\k, %%k\\k\n\t.endr" ::: "memory");
	else if (vectors && fidelity_level == LEVEL_AVX)
		__asm__ volatile("vzeroall" ::: "memory");
	else if (vectors)
		__asm__ volatile(
			".irp v, " LOW_VECTORS "\n\t"
			"pcmpeqd %%xmm\\v, %%xmm\\v\n\t.endr" ::: "memory");
#ifdef __x86_64__
	__asm__ volatile("mov $-1, %%rax\n\t"
			 ".irp r, rcx,rdx,rsi,rdi,r8,r9,r10,r11\n\tmov %%rax, %%\\r\n\t.endr\n\t"
			 "xor %%eax, %%eax"
			 ::: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc", "memory");
#else
	__asm__ volatile("mov $-1, %%eax; mov %%eax, %%ecx; mov %%eax, %%edx; xor %%eax, %%eax"
			 ::: "eax", "ecx", "edx", "cc", "memory");
#endif
}

static union state changed;

static CALLBACK unsigned long df_now(void)
{
	unsigned long flags;

	__asm__ volatile("pushf; pop %0" : "=r"(flags));
	return flags & FLAGS_DF;
}

/* pt_regs against what the driver loaded. */
static CALLBACK void check_regs(struct pt_regs *regs, int all, unsigned long ip)
{
	const uint64_t *g = fidelity_before.words + STATE_GENERAL / 8;
	uint64_t flags = FLAGS_DF | (tail ? 0 : FLAGS_ARITHMETIC);
	struct { const char *name; uint64_t expected, found; int minimum; } table[] = {
		{ "user_stack_pointer(regs)", fidelity_sp - sizeof(long), user_stack_pointer(regs), 1 },
#ifdef __x86_64__
		{ "regs->rax", g[RAX], regs->rax, 1 }, { "regs->rdi", g[RDI], regs->rdi, 1 },
		{ "regs->rsi", g[RSI], regs->rsi, 1 }, { "regs->rdx", g[RDX], regs->rdx, 1 },
		{ "regs->rcx", g[RCX], regs->rcx, 1 }, { "regs->r8", g[R8], regs->r8, 1 },
		{ "regs->r9", g[R9], regs->r9, 1 }, { "regs->r10", g[R10], regs->r10, 1 },
		{ "regs->rbx", g[RBX], regs->rbx, 0 }, { "regs->rbp", g[RBP], regs->rbp, 0 },
		{ "regs->r11", g[R11], regs->r11, 0 }, { "regs->r12", g[R12], regs->r12, 0 },
		{ "regs->r13", g[R13], regs->r13, 0 }, { "regs->r14", g[R14], regs->r14, 0 },
		{ "regs->r15", g[R15], regs->r15, 0 },
#else
#define U(reg)	(unsigned long)regs->reg
		{ "regs->eax", g[RAX], U(eax), 1 }, { "regs->edx", g[RDX], U(edx), 1 },
		{ "regs->ecx", g[RCX], U(ecx), 1 }, { "regs->ebx", g[RBX], U(ebx), 0 },
		{ "regs->esi", g[RSI], U(esi), 0 }, { "regs->edi", g[RDI], U(edi), 0 },
		{ "regs->ebp", g[RBP], U(ebp), 0 },
#endif
		{ "regs->eflags", fidelity_before.words[STATE_FLAGS / 8] & flags, (unsigned long)regs->eflags & flags, 0 },
	};

	for (unsigned int i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if ((all || table[i].minimum) && table[i].expected != table[i].found)
			differ("callback", table[i].name, 0, &table[i].expected, &table[i].found, 8);
#ifdef MOVED
	if (regs->rip == arch_site_body(ftrace_site_at(ip)))
		ip = regs->rip;
#endif
	if (instruction_pointer(regs) < ip || instruction_pointer(regs) > ip + 8)
		differ("callback", "regs->ip", 0, &ip, &FTRACE_REGS_IP(regs), sizeof(ip));
	if (df_now()) {
		printf("callback: DF is set in C code\n");
		failed = 1;
	}
}

#define GENERAL_ALONE	(FTRACE_OPS_FL_GENERAL_REGS | FTRACE_OPS_FL_ENABLED)

/* Which callbacks were called by code of the library's that is in no file: a trampoline of the function's own. */
static unsigned long made_lo[64], made_hi[64], from_trampoline;
static int nmade;

static UNTRACED int look_for_made(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size, (void)data;
	if (!strcmp(info->dlpi_name, "[ftrace]") && nmade < 64) {
		made_lo[nmade] = info->dlpi_addr + info->dlpi_phdr[0].p_vaddr;
		made_hi[nmade] = made_lo[nmade] + info->dlpi_phdr[0].p_memsz;
		nmade++;
	}
	return 0;
}

/* But where the function's own return address may be a stub's. */
static CALLBACK void note_caller(unsigned long caller, unsigned long parent_ip, int general)
{
	from_trampoline += general && parent_ip % 64 == 28;
	for (int i = 0; i < nmade; i++)
		from_trampoline += caller >= made_lo[i] && caller < made_hi[i] && parent_ip % 64 != 28;
}

static CALLBACK void at_entry(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
			      struct pt_regs *regs)
{
	callbacks++;
	note_caller((unsigned long)__builtin_return_address(0), parent_ip, op->flags == GENERAL_ALONE);
	check_regs(regs, !!(op->flags & FTRACE_OPS_FL_SAVE_REGS), ip);
	clobber(!(op->flags & FTRACE_OPS_FL_GENERAL_REGS));
}

static CALLBACK void at_entry_change(unsigned long ip, unsigned long parent_ip,
				     struct ftrace_ops *op, struct pt_regs *regs)
{
	uint64_t *g = changed.words + STATE_GENERAL / 8;

	(void)ip, (void)parent_ip, (void)op;
	callbacks++;
#ifdef __x86_64__
	regs->rax = g[RAX]; regs->rbx = g[RBX]; regs->rcx = g[RCX]; regs->rdx = g[RDX];
	regs->rsi = g[RSI]; regs->rdi = g[RDI]; regs->rbp = g[RBP]; regs->r8 = g[R8];
	regs->r9 = g[R9]; regs->r10 = g[R10]; regs->r11 = g[R11]; regs->r12 = g[R12];
	regs->r13 = g[R13]; regs->r14 = g[R14]; regs->r15 = g[R15];
#else
	regs->eax = g[RAX]; regs->ebx = g[RBX]; regs->ecx = g[RCX]; regs->edx = g[RDX];
	regs->esi = g[RSI]; regs->edi = g[RDI]; regs->ebp = g[RBP];
#endif
	regs->eflags = changed.words[STATE_FLAGS / 8];
	clobber(1);
}

static CALLBACK int graph_entry(struct ftrace_graph_ent *trace, struct fgraph_ops *gops,
				struct pt_regs *regs)
{
	callbacks++;
	check_regs(regs, 1, trace->func);
	clobber(!(gops->flags & FGRAPH_OPS_FL_GENERAL_REGS));
	return 1;
}

static CALLBACK void graph_return(struct ftrace_graph_ret *trace, struct fgraph_ops *gops,
				  struct pt_regs *regs)
{
	const uint64_t *g = fidelity_result.words + STATE_GENERAL / 8;

	(void)trace;
	callbacks++;
	if (regs_return_value(regs) != g[RAX])
		differ("retfunc", "ax", 0, &g[RAX], &FTRACE_REGS_RETURN(regs), sizeof(long));
#ifdef __x86_64__
	if (regs->rdx != g[RDX])
		differ("retfunc", "rdx", 0, &g[RDX], &regs->rdx, 8);
#else
	if ((unsigned long)regs->edx != g[RDX])
		differ("retfunc", "edx", 0, &g[RDX], &regs->edx, 4);
#endif
	if (df_now()) {
		printf("retfunc: DF is set in C code\n");
		failed = 1;
	}
	clobber(!(gops->flags & FGRAPH_OPS_FL_GENERAL_REGS));
}

static struct ftrace_ops minimal = { .func = at_entry };
static struct ftrace_ops regs = { .func = at_entry, .flags = FTRACE_OPS_FL_SAVE_REGS };
static struct ftrace_ops general = { .func = at_entry, .flags = FTRACE_OPS_FL_GENERAL_REGS };
static struct ftrace_ops regs_general = { .func = at_entry,
	.flags = FTRACE_OPS_FL_GENERAL_REGS | FTRACE_OPS_FL_SAVE_REGS };
static struct ftrace_ops change = { .func = at_entry_change, .flags = FTRACE_OPS_FL_SAVE_REGS };
static struct fgraph_ops graph = { .entryfunc = graph_entry, .retfunc = graph_return };
static struct fgraph_ops graph_two = { .entryfunc = graph_entry, .retfunc = graph_return };
static struct fgraph_ops graph_general = { .entryfunc = graph_entry, .retfunc = graph_return,
	.flags = FGRAPH_OPS_FL_GENERAL_REGS };

/* ---- replaced ---- */

void fidelity_replacement(void);
static int replaced;
static void (*in_hold)(void);

/* What a thread is in that holds a transition up. */
#ifdef MOVED
#define TRACED	__attribute__((noinline))
#else
#define TRACED	__attribute__((noinline, patchable_function_entry(5)))
#endif
TRACED void fidelity_hold(int fd)
{
	char c;

	if (fd < 0)
		in_hold();
	else if (read(fd, &c, 1) < 0)
		exit(1);
	__asm__ volatile("");
}

static void not_held(int fd)
{
	(void)fd;
}

static struct klp_func replaced_funcs[] = {
	{ .old_name = "fidelity_target", .new_func = (void *)fidelity_replacement },
	{ .old_name = "fidelity_hold", .new_func = (void *)not_held }, { }
};
static struct klp_object replaced_objs[] = { { .funcs = replaced_funcs }, { } };
static struct klp_patch patch = { .name = "fidelity", .objs = replaced_objs };

static volatile int holder_tid;

static UNTRACED void *holder(void *fds)
{
	holder_tid = (int)syscall(SYS_gettid);
	fidelity_hold(*(int *)fds);
	return NULL;
}

/* @holders: who must be in the way of the transition. */
static UNTRACED void replace(int holders)
{
	int left;

	replaced = 1;
	must(klp_enable_patch(&patch), "klp_enable_patch");
	left = klp_transition_work();
	if (left != holders) {
		printf("%d threads are in the way of the transition, not %d\n", left, holders);
		exit(1);
	}
}

static UNTRACED void replace_held(void)
{
	static int fds[2];
	pthread_t t;

	if (pipe(fds) || pthread_create(&t, NULL, holder, fds))
		exit(1);
	while (!holder_tid || !reads(holder_tid))
		usleep(1000);
	replace(1);
}

/* Now and then what is known of the thread is to be found out again. */
static UNTRACED void between_rounds(long round)
{
	if (replaced && round % 16 == 0)
		klp_transition_work();
}

static UNTRACED int start(const char *mode)
{
	int known = 0;

#define MODE(name, ...) if (!strcmp(mode, name)) { known = 1; __VA_ARGS__; }
	MODE("none", return 1)
	MODE("minimal", function(&minimal))
	MODE("regs", function(&regs); flags_kept = 1)
	MODE("general", function(&general))
	MODE("regs-general", function(&regs_general); flags_kept = 1)
	MODE("several", function(&minimal); function(&regs); function(&general); flags_kept = 1)
	MODE("graph", graph_ops(&graph))
	MODE("graph-general", graph_ops(&graph_general))
	MODE("both", graph_ops(&graph); function(&regs); flags_kept = 1)
	MODE("twice", graph_ops(&graph); graph_ops(&graph_two))
	MODE("change", function(&change); flags_kept = 1)
	MODE("replaced", replace(0); expected_ran = 2)
	MODE("replaced-gone", replace_held(); expected_ran = 2)
	MODE("replaced-stays", replace(1))
	dl_iterate_phdr(look_for_made, NULL);
	MODE("off", function(&regs); must(unregister_ftrace_function(&regs), "unregister"))
	return known;
}
#else
static UNTRACED int start(const char *mode) { return !strcmp(mode, "none"); }
static UNTRACED void between_rounds(long round) { (void)round; }
static union state changed;
static int replaced;
#endif

static const char *mode;
static int set_df = 1;
static long rounds;

static UNTRACED void go(void);

UNTRACED int main(int argc, char **argv)
{
	unsigned int a, b, c, d, low = 0;

	if (argc < 4)
		return 2;
	mode = argv[1];
	rounds = atol(argv[2]);
	random_state = strtoull(argv[3], NULL, 0) | 1;
	for (int i = 4; i < argc; i++) {
		upper |= !strcmp(argv[i], "upper");
		if (!strcmp(argv[i], "no-df"))
			set_df = 0;
	}
	__cpuid(1, a, b, c, d);
	if (c & bit_OSXSAVE)
		__asm__ volatile("xgetbv" : "=a"(low), "=d"(d) : "c"(0));
	__cpuid_count(7, 0, a, b, c, d);
	if (__builtin_cpu_supports("avx") && (low & 6) == 6)
		fidelity_level = LEVEL_AVX;
	if (__builtin_cpu_supports("avx512f") && (b & bit_AVX512BW) && (low & 0xe6) == 0xe6)
		fidelity_level = LEVEL_AVX512;
#ifdef WITH_LIBRARY
	if (!strcmp(mode, "replaced-stays")) {
		in_hold = go;
		fidelity_hold(-1);
		return failed;
	}
#endif
	go();
	return failed;
}

static UNTRACED void go(void)
{
	int changes = !strcmp(mode, "change");

	if (!start(mode))
		exit(2);
	for (long i = 0; i < rounds && !failed; i++) {
		union state expected;
		unsigned long before = callbacks;

		tail = i % 2;
		randomize(&fidelity_before, set_df);
		randomize(&fidelity_result, set_df);
		randomize(&changed, set_df);
		memset(&fidelity_inside, 0, STATE_SIZE);
		memset(&fidelity_after, 0, STATE_SIZE);
		if (tail)
			fidelity_call_tail();
		else
			fidelity_call();
		expected = fidelity_before;
		if (changes) {
			memcpy(expected.bytes + STATE_GENERAL, changed.bytes + STATE_GENERAL,
			       GENERALS * 8);
			expected.words[STATE_FLAGS / 8] = changed.words[STATE_FLAGS / 8];
		}
		compare("entry", &expected, &fidelity_inside, fidelity_sp - sizeof(long),
			FLAGS_DF | (flags_kept && !tail ? FLAGS_ARITHMETIC : 0));
		compare("return", &fidelity_result, &fidelity_after, fidelity_sp, FLAGS_DF);
		between_rounds(i);
		if (fidelity_ran != expected_ran)
			differ("version", "of fidelity_target", 0, &expected_ran, &fidelity_ran, 4);
		if (strcmp(mode, "none") && strcmp(mode, "off") && !replaced && callbacks == before) {
			printf("no callback ran\n");
			failed = 1;
		}
		if (failed)
			printf("round %ld%s\n", i, tail ? ", by a tail call" : "");
	}
#if defined(WITH_LIBRARY) && defined(__x86_64__) && !defined(MOVED)
	/* All but the one that finds the thread without a state. */
	if (!strcmp(mode, "general") ? from_trampoline + 2 < callbacks : from_trampoline && strcmp(mode, "several")) {
		printf("%lu of %lu callbacks were called by a trampoline of the function's own\n", from_trampoline,
		       callbacks);
		failed = 1;
	}
#endif
	if (!failed)
		printf("ok %ld vectors %d\n", rounds, 16 << fidelity_level);
}
