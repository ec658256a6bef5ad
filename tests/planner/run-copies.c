/* SPDX-License-Identifier: MIT */
/*
 * run-copies [-x] [-s SEED] [-n STATES] [-p PLAN] OBJECT: executes the moved instructions of every
 * planned function of the object, instruction by instruction under ptrace, in place and in their
 * copy, each from STATES random states of registers, flags and memory. Both must end alike:
 * registers, vector registers, flags, memory (stack, what registers point to, the object's data),
 * the address where execution goes on; or fault alike, at the same instruction.
 *
 * -p: writes the plan to a file, and nothing else. -x: every copy is made wrong in one place: the
 * test of this test. Exit status 0: all agree; 1: not.
 *
 * The object is only mapped, not relocated: what a GOT word holds is the same for both.
 *
 * A 32-bit object's are executed as such, by a code segment of that kind, in this 64-bit process.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <Zydis/Zydis.h>

#include "arch/arch.h"
#include "engine/elf-file.h"
#include "engine/find.h"
#include "planner/planner.h"

/* Where a position-independent object is mapped; the copies, from there on within 2 GiB. */
#define BASE		(narrow ? 0x20000000ul : 0x100000000000ul)
#define COPIES		(narrow ? 0x40000000ul : 0x60000000ul)
/* What registers point to, and the stack. */
#define ARENA		(narrow ? 0x70000000ul : 0x200000000000ul)
#define ARENA_SIZE	0x4000ul
#define STACK		(narrow ? 0x71000000ul : 0x210000000000ul)
#define CODE_32		0x23			/* the kernel's segments for 32-bit code, and any data */
#define DATA		0x2b
#define STACK_SIZE	0x2000ul
#define WINDOWS		8
#define MAX_STEPS	200
#define WINDOW		256ul			/* of the object's data around what is referred to */

struct state {
	struct user_regs_struct regs;
	struct user_fpregs_struct fp;
	int signal;		/* that ended it; 0: it left the instructions */
	unsigned long fault;	/* si_addr */
	u8 arena[ARENA_SIZE], stack[STACK_SIZE];
	u8 data[WINDOWS][2 * WINDOW];
};

static bool narrow;		/* a 32-bit object */
static struct elf elf;
static const struct ftrace_plan_header *plan;
static const struct ftrace_planned *funcs;
static unsigned long base, copies;
static u8 *writable;			/* the object's writable segment as this process sees it */
static unsigned long writable_at, writable_size;
static u8 *pristine;			/* as it was */
static pid_t child;

static unsigned long long rng_state;
static unsigned long runs, faults, left_by_branch, calls, steps, mismatches, skipped;

static unsigned long long rnd(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state * 0x2545f4914f6cdd1dull;
}

static void die(const char *what)
{
	fprintf(stderr, "run-copies: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void *map_shared(unsigned long at, size_t size, int prot)
{
	void *p = mmap((void *)at, size, prot, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p == MAP_FAILED || (unsigned long)p != at)
		die("mmap");
	return p;
}

/* ---- the object ---- */

static Elf64_Phdr program_header(u32 i)
{
	Elf32_Phdr ph;

	if (!narrow)
		return ((const Elf64_Phdr *)elf.phdrs)[i];
	ph = ((const Elf32_Phdr *)elf.phdrs)[i];
	return (Elf64_Phdr){ .p_type = ph.p_type, .p_flags = ph.p_flags, .p_vaddr = ph.p_vaddr,
			     .p_memsz = ph.p_memsz };
}

static void map_object(void)
{
	unsigned long lo = ~0ul, hi = 0;

	for (u32 i = 0; i < elf.nsegments; i++) {
		Elf64_Phdr ph = program_header(i);

		if (ph.p_type != PT_LOAD)
			continue;
		lo = ph.p_vaddr < lo ? ph.p_vaddr : lo;
		hi = ph.p_vaddr + ph.p_memsz > hi ? ph.p_vaddr + ph.p_memsz : hi;
		if (ph.p_flags & PF_W) {
			writable_at = ph.p_vaddr;
			writable_size = ph.p_memsz;	/* .bss too */
		}
	}
	base = elf.type == ET_EXEC ? 0 : BASE;
	copies = base + COPIES;
	map_shared(base + (lo & ~0xffful), ((hi + 0x1fff) & ~0xffful) - (lo & ~0xffful),
		   PROT_READ | PROT_WRITE | PROT_EXEC);
	for (u32 i = 0; i < elf.nloads; i++)
		memcpy((void *)(base + elf.load[i].vaddr), elf.load[i].data, elf.load[i].size);
	writable = (u8 *)(base + writable_at);
	pristine = malloc(writable_size + 1);
	memcpy(pristine, writable, writable_size);
}

/* ---- states ---- */

static u8 arena_start[ARENA_SIZE], stack_start[STACK_SIZE];

/* @kind: 0, 1: registers point to memory; 2: some are small numbers; 3: anything. */
static unsigned long long wide_value(int kind)
{
	unsigned long long r = rnd();

	if (kind == 3 || (kind == 2 && r % 7 == 0))
		return rnd();
	if (kind == 2 && r % 3 == 0)
		return rnd() % 1024 - 8;
	return ARENA + ARENA_SIZE / 4 + (rnd() % (ARENA_SIZE / 2) & ~7ull);
}

static unsigned long long value(int kind)
{
	return narrow ? (u32)wide_value(kind) : wide_value(kind);
}

static void fill(u8 *p, size_t size)
{
	size_t word = narrow ? 4 : 8;

	for (size_t i = 0; i < size; i += word) {
		unsigned long long v = rnd() % 2 ? value((int)(rnd() % 4)) : rnd() % 4;

		memcpy(p + i, &v, word);
	}
}

static void make_state(struct state *s, const struct user_regs_struct *from, int kind)
{
	struct user_regs_struct *r = &s->regs;
	unsigned long long *gp[] = { &r->rax, &r->rbx, &r->rcx, &r->rdx, &r->rsi, &r->rdi, &r->rbp,
				     &r->r8, &r->r9, &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15 };

	*r = *from;
	for (size_t i = 0; i < ARRAY_SIZE(gp); i++)
		*gp[i] = value(kind);
	if (kind < 3)		/* rep: few times */
		r->rcx = rnd() % 3 ? rnd() % 4 : r->rcx;
	else
		r->rcx = rnd() % 2 ? 0 : narrow ? (u32)rnd() | 1u << 31 : rnd() | 1ull << 63;
	r->rsp = STACK + STACK_SIZE / 2 + (rnd() % 512 & ~15ull) + 8;
	if (narrow) {
		r->cs = CODE_32;
		r->ss = r->ds = r->es = r->gs = DATA;
	} else {
		r->fs_base = ARENA + 1024;
	}
	r->eflags = 0x202 | (rnd() & 0x8d5);
	r->orig_rax = ~0ull;
	for (size_t i = 0; i < sizeof(s->fp.xmm_space) / sizeof(s->fp.xmm_space[0]); i++)
		s->fp.xmm_space[i] = (unsigned int)rnd();
	fill(arena_start, sizeof(arena_start));
	fill(stack_start, sizeof(stack_start));
}

/* The object's data near what the copy refers to. */
static u8 *window(const struct ftrace_template *t, unsigned int i, size_t *size)
{
	const struct ftrace_fixup *f = (const struct ftrace_fixup *)(t + 1);
	unsigned long from;

	if (i >= t->nfixups || i >= WINDOWS || f[i].vaddr - writable_at >= writable_size)
		return NULL;
	from = f[i].vaddr - writable_at;
	from = from < WINDOW ? 0 : from - WINDOW;
	*size = writable_size - from < 2 * WINDOW ? writable_size - from : 2 * WINDOW;
	return writable + from;
}

static void wait_stop(int *status)
{
	if (waitpid(child, status, 0) != child || !WIFSTOPPED(*status)) {
		fprintf(stderr, "run-copies: the child is gone, status %x\n", *status);
		exit(2);
	}
}

/* Execute from @start until it leaves [@start, @start + @len) or a signal comes. */
static void execute(struct state *s, const struct state *from, unsigned long start, unsigned long len,
		    const struct ftrace_template *t)
{
	struct user_regs_struct regs = from->regs;
	siginfo_t info;
	int n, status;
	size_t size;

	memcpy((void *)ARENA, arena_start, ARENA_SIZE);
	memcpy((void *)STACK, stack_start, STACK_SIZE);
	regs.rip = start;
	if (ptrace(PTRACE_SETREGS, child, NULL, &regs) ||
	    ptrace(PTRACE_SETFPREGS, child, NULL, &from->fp))
		die("ptrace");
	s->signal = 0;
	s->fault = 0;
	for (n = 0; n < MAX_STEPS; n++) {
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL))
			die("ptrace: step");
		wait_stop(&status);
		if (ptrace(PTRACE_GETREGS, child, NULL, &s->regs))
			die("ptrace: registers");
		steps++;
		if (WSTOPSIG(status) != SIGTRAP) {
			s->signal = WSTOPSIG(status);
			ptrace(PTRACE_GETSIGINFO, child, NULL, &info);
			s->fault = (unsigned long)info.si_addr;
			break;
		}
		if (s->regs.rip - start >= len || s->regs.cs != from->regs.cs)
			break;
	}
	if (n == MAX_STEPS)
		s->signal = -1;
	if (ptrace(PTRACE_GETFPREGS, child, NULL, &s->fp))
		die("ptrace: vector registers");
	s->fp.rip = s->fp.rdp = s->fp.fop = 0;	/* where the last x87 instruction was */
	memcpy(s->arena, (void *)ARENA, ARENA_SIZE);
	memcpy(s->stack, (void *)STACK, STACK_SIZE);
	for (unsigned int i = 0; i < WINDOWS; i++) {
		u8 *w = window(t, i, &size);

		if (w) {
			memcpy(s->data[i], w, size);
			memcpy(w, pristine + (w - writable), size);
		}
	}
}

/* ---- comparing ---- */

static bool on_stack(const struct state *s)
{
	return s->regs.rsp - STACK <= STACK_SIZE - 8;
}

/* A fault in the copy, put where it would have been in place. False: the copy's table does not have it. */
static bool put_back(struct state *s, const struct ftrace_planned *f, const struct ftrace_template *t,
		     unsigned long at)
{
	const struct ftrace_copied *c = (const struct ftrace_copied *)
		((const struct ftrace_fixup *)(t + 1) + t->nfixups);

	for (unsigned int i = 0; i < t->ninsns; i++) {
		if (c[i].copy != s->regs.rip - at)
			continue;
		/* An instruction that is none (SIGILL): that address is told. */
		if (s->fault == s->regs.rip)
			s->fault = base + f->vaddr + c[i].original;
		s->regs.rip = base + f->vaddr + c[i].original;
		if (c[i].pushed && on_stack(s)) {	/* what was pushed already is below the stack again */
			memcpy(s->stack + (s->regs.rsp - STACK), stack_start + (s->regs.rsp - STACK),
			       c[i].pushed);
			s->regs.rsp += c[i].pushed;
		}
		return true;
	}
	return false;
}

static const char *difference(const struct state *a, const struct state *b,
			      const struct ftrace_template *t)
{
	static const struct { size_t at; const char *name; } names[] = {
#define REG(name) { offsetof(struct user_regs_struct, name), #name }
		REG(rip), REG(rsp), REG(eflags), REG(rax), REG(rbx), REG(rcx), REG(rdx), REG(rsi), REG(rdi),
		REG(rbp), REG(r8), REG(r9), REG(r10), REG(r11), REG(r12), REG(r13), REG(r14), REG(r15),
		REG(fs_base), REG(gs_base), REG(cs), REG(ss),
#undef REG
	};
	static char text[160];
	size_t size;

	if (a->signal != b->signal) {
		snprintf(text, sizeof(text), "signal %d, copy %d", a->signal, b->signal);
		return text;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		unsigned long long x, y;

		memcpy(&x, (const char *)&a->regs + names[i].at, 8);
		memcpy(&y, (const char *)&b->regs + names[i].at, 8);
		if (x != y) {
			snprintf(text, sizeof(text), "%s %llx, copy %llx", names[i].name, x, y);
			return text;
		}
	}
	if (a->fault != b->fault) {
		snprintf(text, sizeof(text), "fault at %lx, copy %lx", a->fault, b->fault);
		return text;
	}
	if (memcmp(&a->fp, &b->fp, sizeof(a->fp)))
		return "vector registers";
	if (memcmp(a->stack, b->stack, STACK_SIZE))
		return "stack";
	if (memcmp(a->arena, b->arena, ARENA_SIZE))
		return "memory";
	for (unsigned int i = 0; i < WINDOWS; i++)
		if (window(t, i, &size) && memcmp(a->data[i], b->data[i], size))
			return "the object's data";
	return NULL;
}

/* Instructions whose result nobody can predict: their name; NULL: none. */
static const char *unpredictable(const struct ftrace_planned *f)
{
	static ZydisDecoder decoder;
	ZydisDecodedInstruction in;
	ZydisDecoderContext context;

	if (!decoder.stack_width)
		ZydisDecoderInit(&decoder, narrow ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32 :
				 ZYDIS_MACHINE_MODE_LONG_64, narrow ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_64);
	for (unsigned int at = 0; at < f->len; at += in.length) {
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, &context, f->orig + at,
								f->len - at, &in)))
			return NULL;	/* padding that is cut off */
		switch (in.mnemonic) {
		case ZYDIS_MNEMONIC_RDTSC: case ZYDIS_MNEMONIC_RDTSCP: case ZYDIS_MNEMONIC_RDPMC:
		case ZYDIS_MNEMONIC_RDRAND: case ZYDIS_MNEMONIC_RDSEED: case ZYDIS_MNEMONIC_CPUID:
		case ZYDIS_MNEMONIC_RDPID: case ZYDIS_MNEMONIC_SYSCALL: case ZYDIS_MNEMONIC_XBEGIN:
			return ZydisMnemonicGetString(in.mnemonic);
		default:
			break;
		}
	}
	return NULL;
}

static const char *name_of(const struct ftrace_planned *f)
{
	return f->name ? (const char *)plan + plan->strings + f->name : "(no name)";
}

static void compare(const struct ftrace_planned *f, const struct ftrace_template *t,
		    unsigned long at, int states, const struct user_regs_struct *regs,
		    const struct user_fpregs_struct *fp)
{
	static struct state start, in_place, copy;
	unsigned long ip = base + f->vaddr;

	for (int k = 0; k < states; k++) {
		const char *what = NULL;

		start.fp = *fp;
		make_state(&start, regs, k % 4);
		execute(&in_place, &start, ip, f->len, t);
		execute(&copy, &start, at, FTRACE_COPY_SIZE, t);
		runs++;
		if (in_place.signal)
			faults++;
		else if (in_place.regs.rip != ip + f->len)
			left_by_branch++;
		if (!in_place.signal && in_place.regs.rsp < start.regs.rsp && on_stack(&in_place) &&
		    *(u32 *)(in_place.stack + (in_place.regs.rsp - STACK)) == (u32)(ip + f->len))
			calls++;
		if (copy.signal && !put_back(&copy, f, t, at))
			what = "a fault where the copy's table has no instruction";
		if (!what)
			what = difference(&in_place, &copy, t);
		if (what && mismatches++ < 20)
			printf("%s at %llx, state %d: %s\n", name_of(f), (unsigned long long)f->vaddr, k,
			       what);
	}
}

/* One byte of the copy, not of padding, is made another. */
static void damage(u8 *copy, const struct ftrace_template *t)
{
	const struct ftrace_fixup *f = (const struct ftrace_fixup *)(t + 1);

	copy[f[rnd() % t->nfixups].at] ^= 1;
}

int main(int argc, char **argv)
{
	struct user_regs_struct regs;
	struct user_fpregs_struct fp;
	int option, states = 4, wrong = 0, status, ret;
	unsigned long planned = 0, named = 0, named_moved = 0, not_entries = 0;
	void *made;
	const char *why, *write_to = NULL;
	size_t size;

	rng_state = 88172645463325252ull;
	while ((option = getopt(argc, argv, "xs:n:p:")) != -1) {
		if (option == 'x')
			wrong = 1;
		else if (option == 's')
			rng_state += strtoull(optarg, NULL, 10) * 0x9e3779b97f4a7c15ull;
		else if (option == 'n')
			states = atoi(optarg);
		else if (option == 'p')
			write_to = optarg;
		else
			return 2;
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: run-copies [-x] [-s SEED] [-n STATES] [-p PLAN] OBJECT\n");
		return 2;
	}
	ret = planner_make(argv[optind], &made, &size, &why);
	if (ret) {
		fprintf(stderr, "%s: %s\n", argv[optind], why);
		return 2;
	}
	if (write_to) {
		FILE *out = fopen(write_to, "wb");

		if (!out || fwrite(made, 1, size, out) != size || fclose(out))
			die(write_to);
		return 0;
	}
	plan = made;
	narrow = !(plan->machine >> 31);
	funcs = (const void *)((const char *)made + plan->funcs);
	if (elf_open(&elf, argv[optind], NULL) || elf_load_segments(&elf))
		return 2;
	map_object();
	map_shared(ARENA, ARENA_SIZE, PROT_READ | PROT_WRITE);
	map_shared(STACK, STACK_SIZE, PROT_READ | PROT_WRITE);
	map_shared(copies, ALIGN_UP(plan->nfuncs * (size_t)FTRACE_COPY_SIZE, FT_PAGE_SIZE),
		   PROT_READ | PROT_WRITE | PROT_EXEC);

	for (u32 i = 0; i < plan->nfuncs; i++) {
		const struct ftrace_planned *f = &funcs[i];
		const struct ftrace_template *t = (const void *)((const char *)plan + plan->code + f->code);
		unsigned long at = copies + i * (size_t)FTRACE_COPY_SIZE;

		if (f->form == FTRACE_FORM_NONE)
			continue;
		if (memcmp((void *)(base + f->vaddr), f->orig, f->len)) {
			printf("%s: not the original bytes\n", name_of(f));
			mismatches++;
		}
		ret = arch_copy_write((u8 *)at, at, base, t);
		if (ret) {
			printf("%s: its copy cannot be written: %d\n", name_of(f), ret);
			mismatches++;
		}
		if (wrong)
			damage((u8 *)at, t);
	}
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	wait_stop(&status);
	if (ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_EXITKILL) ||
	    ptrace(PTRACE_GETREGS, child, NULL, &regs) || ptrace(PTRACE_GETFPREGS, child, NULL, &fp))
		die("ptrace");

	for (u32 i = 0; i < plan->nfuncs; i++) {
		const struct ftrace_planned *f = &funcs[i];
		const struct ftrace_template *t = (const void *)((const char *)plan + plan->code + f->code);
		const char *reason = (const char *)plan + plan->strings + f->reason;

		named += !!f->name;
		if (f->form == FTRACE_FORM_NONE) {
			not_entries += f->name && (strstr(reason, "not an entry") ||
						   strstr(reason, "returns from signal handlers"));
			continue;
		}
		planned++;
		named_moved += !!f->name;
		why = unpredictable(f);
		if (why) {
			printf("%s: not compared: %s\n", name_of(f), why);
			skipped++;
			continue;
		}
		compare(f, t, copies + i * (size_t)FTRACE_COPY_SIZE, states, &regs, &fp);
	}
	kill(child, SIGKILL);
	if (memcmp(pristine, writable, writable_size)) {
		printf("data of the object was written that no copy refers to\n");
		mismatches++;
	}
	printf("symbols %lu parts %lu movable %lu planned %lu skipped %lu runs %lu steps %lu faults %lu "
	       "branched %lu called %lu mismatches %lu\n", named, not_entries, named_moved, planned,
	       skipped, runs, steps, faults, left_by_branch, calls, mismatches);
	return mismatches != 0;
}
