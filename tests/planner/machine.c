/* SPDX-License-Identifier: MIT */
/* See machine.h. */
#include "machine.h"

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where a position-independent object is mapped; the copies, from there on within 2 GiB. */
#define BASE		(narrow ? 0x20000000ul : 0x100000000000ul)
#define COPIES		(narrow ? 0x40000000ul : 0x60000000ul)
#define CODE_32		0x23			/* the kernel's segments for 32-bit code, and any data */
#define DATA		0x2b
#define MAX_STEPS	400

bool narrow;
struct elf elf;
unsigned long base, copies;
unsigned long long rng_state;
unsigned long steps;
u8 arena_start[ARENA_SIZE], stack_start[STACK_SIZE];

static u8 *writable;			/* the object's writable segment as this process sees it */
static unsigned long writable_at, writable_size;
static u8 *pristine;			/* as it was */
static unsigned long text_at[8], text_end[8];	/* what the child must not write to */
static u32 ntexts;
static pid_t child;
static struct user_regs_struct first_regs;
static u8 first_xstate[XSTATE_MAX];
static size_t xstate_size;

unsigned long long rnd(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state * 0x2545f4914f6cdd1dull;
}

void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(2);
}

void *map_shared(unsigned long at, size_t size, int prot)
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

void machine_open(const char *path)
{
	unsigned long lo = ~0ul, hi = 0;

	if (elf_open(&elf, path, NULL) || elf_load_segments(&elf)) {
		fprintf(stderr, "%s: no object\n", path);
		exit(2);
	}
	narrow = !elf.wide;
	base = elf.type == ET_EXEC ? 0 : BASE;
	copies = base + COPIES;
	for (u32 i = 0; i < elf.nsegments; i++) {
		Elf64_Phdr ph = program_header(i);

		if (ph.p_type != PT_LOAD)
			continue;
		lo = ph.p_vaddr < lo ? ph.p_vaddr : lo;
		hi = ph.p_vaddr + ph.p_memsz > hi ? ph.p_vaddr + ph.p_memsz : hi;
		if (ph.p_flags & PF_W) {
			writable_at = ph.p_vaddr;
			writable_size = ph.p_memsz;	/* .bss too */
		} else if (ntexts < ARRAY_SIZE(text_at)) {
			text_at[ntexts] = base + (ph.p_vaddr & ~0xffful);
			text_end[ntexts++] = base + ((ph.p_vaddr + ph.p_memsz + 0xfff) & ~0xffful);
		}
	}
	map_shared(base + (lo & ~0xffful), ((hi + 0x1fff) & ~0xffful) - (lo & ~0xffful),
		   PROT_READ | PROT_WRITE | PROT_EXEC);
	for (u32 i = 0; i < elf.nloads; i++)
		memcpy((void *)(base + elf.load[i].vaddr), elf.load[i].data, elf.load[i].size);
	writable = (u8 *)(base + writable_at);
	pristine = malloc(writable_size + 1);
	memcpy(pristine, writable, writable_size);
	map_shared(ARENA, ARENA_SIZE, PROT_READ | PROT_WRITE);
	map_shared(STACK, STACK_SIZE, PROT_READ | PROT_WRITE);
}

unsigned long machine_data(void)
{
	return (unsigned long)writable + ALIGN_DOWN(writable_size / 2, 64ul);
}

bool machine_object_is_changed(void)
{
	return memcmp(pristine, writable, writable_size);
}

/* ---- the child ---- */

static void get_xstate(u8 *x)
{
	struct iovec iov = { x, XSTATE_MAX };

	if (ptrace(PTRACE_GETREGSET, child, NT_X86_XSTATE, &iov))
		die("ptrace: vector registers");
	xstate_size = iov.iov_len;
}

static void set_xstate(const u8 *x)
{
	struct iovec iov = { (void *)x, xstate_size };

	if (ptrace(PTRACE_SETREGSET, child, NT_X86_XSTATE, &iov))
		die("ptrace: vector registers");
}

static void wait_stop(int *status)
{
	if (waitpid(child, status, 0) != child || !WIFSTOPPED(*status)) {
		fprintf(stderr, "the child is gone, status %x\n", *status);
		exit(2);
	}
}

void machine_start(void)
{
	cpu_set_t one;
	int status;

	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		/* Some instructions tell which processor they run on. */
		CPU_ZERO(&one);
		CPU_SET(sched_getcpu(), &one);
		sched_setaffinity(0, sizeof(one), &one);
		for (u32 i = 0; i < ntexts; i++)
			mprotect((void *)text_at[i], text_end[i] - text_at[i], PROT_READ | PROT_EXEC);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	wait_stop(&status);
	if (ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_EXITKILL) ||
	    ptrace(PTRACE_GETREGS, child, NULL, &first_regs))
		die("ptrace");
	get_xstate(first_xstate);
}

void machine_stop(void)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* ---- states ---- */

unsigned long long machine_pointer(void)
{
	return ARENA + ARENA_SIZE / 4 + (rnd() % (ARENA_SIZE / 2) & ~7ull);
}

static unsigned long long wide_value(int kind)
{
	unsigned long long r = rnd();

	if (kind == 3 || (kind == 2 && r % 7 == 0))
		return rnd();
	if (kind == 2 && r % 3 == 0)
		return rnd() % 1024 - 8;
	return machine_pointer();
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

static void fill_random(u8 *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (u8)(rnd() >> 32);
}

#define XFEATURES_AT	464		/* of the kernel: which components there are */
#define XSTATE_BV_AT	512
#define MXCSR_AT	24
#define X87_AT		32
#define XMM_AT		160

/* Components whose registers may hold anything: AVX, and AVX-512's three. */
static const u8 vectors[] = { 2, 5, 6, 7 };

u8 *machine_component(struct state *s, unsigned int n, u32 *size)
{
	u64 features;
	u32 at, c, d;

	memcpy(&features, s->xstate + XFEATURES_AT, 8);
	if (n < 2 || !(features >> n & 1))
		return NULL;
	__cpuid_count(0xd, n, *size, at, c, d);
	return at + *size <= xstate_size ? s->xstate + at : NULL;
}

static void make_vectors(struct state *s, int kind)
{
	u64 features;
	u32 mxcsr = 0x1f80;

	memcpy(s->xstate, first_xstate, xstate_size);
	fill_random(s->xstate + XMM_AT, 256);
	for (int i = 0; i < 8; i++)
		fill_random(s->xstate + X87_AT + 16 * i, 10);
	s->xstate[4] = (u8)(rnd() >> 32);	/* which of them are not empty */
	s->xstate[0] = 0x7f;
	s->xstate[1] = 0x03;
	if (kind == 3 && rnd() % 2)		/* exceptions that are told, other ways to round */
		mxcsr &= (u32)rnd() | 0x6000;
	memcpy(s->xstate + MXCSR_AT, &mxcsr, 4);
	for (unsigned int i = 0; i < ARRAY_SIZE(vectors); i++) {
		u32 size;
		u8 *p = machine_component(s, vectors[i], &size);

		if (p)
			fill_random(p, size);
	}
	memcpy(&features, s->xstate + XFEATURES_AT, 8);
	features &= 0xe7;
	for (int i = 0; i < 8; i++)
		s->xstate[XSTATE_BV_AT + i] |= (u8)(features >> 8 * i);
}

void machine_state(struct state *s, int kind)
{
	struct user_regs_struct *r = &s->regs;
	unsigned long long *gp[] = { &r->rax, &r->rbx, &r->rcx, &r->rdx, &r->rsi, &r->rdi, &r->rbp,
				     &r->r8, &r->r9, &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15 };

	*r = first_regs;
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
		r->fs_base = r->gs_base = ARENA + 1024;
	}
	r->eflags = 0x202 | (rnd() & 0x8d5);
	r->orig_rax = ~0ull;
	make_vectors(s, kind);
	fill(arena_start, sizeof(arena_start));
	fill(stack_start, sizeof(stack_start));
}

/* The object's data near what is referred to. */
static u8 *window(const struct piece *p, unsigned int i, size_t *size)
{
	unsigned long from;

	if (i >= p->nrefs || i >= WINDOWS || p->refs[i] - writable_at >= writable_size)
		return NULL;
	from = p->refs[i] - writable_at;
	from = from < WINDOW ? 0 : from - WINDOW;
	*size = writable_size - from < 2 * WINDOW ? writable_size - from : 2 * WINDOW;
	return writable + from;
}

void machine_memory(const struct piece *p)
{
	size_t size;

	memcpy((void *)ARENA, arena_start, ARENA_SIZE);
	memcpy((void *)STACK, stack_start, STACK_SIZE);
	for (unsigned int i = 0; i < WINDOWS; i++) {
		u8 *w = window(p, i, &size);

		if (w)
			memcpy(w, pristine + (w - writable), size);
	}
}

/* ---- running ---- */

static bool repeats(unsigned long at)
{
	const u8 *p = (const u8 *)at;

	for (; (!narrow && *p >= 0x40 && *p < 0x50) || *p == 0x66 || *p == 0x67 || *p == 0x2e || *p == 0x3e || *p == 0x26 || *p == 0x64 ||
	       *p == 0x65 || *p == 0x36; p++)
		;
	return *p == 0xf2 || *p == 0xf3;
}

/* True: it goes on. */
static bool step(struct state *s, const struct piece *p, unsigned short cs)
{
	unsigned long before = s->regs.rip;
	siginfo_t info;
	int status;

	if (p->hook_at && before == p->hook_at)
		p->hook(&s->regs);
	if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL))
		die("ptrace: step");
	wait_stop(&status);
	if (ptrace(PTRACE_GETREGS, child, NULL, &s->regs))
		die("ptrace: registers");
	steps++;
	s->regs.eflags &= ~0x200100ull;	/* used for stepping; not changed by ptrace (ID) */
	if (WSTOPSIG(status) != SIGTRAP) {
		s->signal = WSTOPSIG(status);
		ptrace(PTRACE_GETSIGINFO, child, NULL, &info);
		s->fault = (unsigned long)info.si_addr;
		return false;
	}
	if (s->regs.cs != cs)
		return false;
	/* Back at the beginning: by a branch, unless it is an instruction that repeats itself. */
	if (s->regs.rip == p->at && !(before == p->at && repeats(before)))
		return false;
	if (p->single && s->regs.rip != p->at)
		return false;
	return s->regs.rip - p->at < p->len || (p->hook_at && s->regs.rip == p->hook_at);
}

void machine_run(struct state *to, const struct state *from, const struct piece *p)
{
	size_t size;
	int n = 0;

	machine_memory(p);
	to->regs = from->regs;
	to->regs.rip = p->at;
	if (ptrace(PTRACE_SETREGS, child, NULL, &to->regs))
		die("ptrace: registers");
	set_xstate(from->xstate);
	to->signal = 0;
	to->fault = 0;
	while (step(to, p, (unsigned short)from->regs.cs))
		if (++n == MAX_STEPS) {
			to->signal = -1;
			break;
		}
	get_xstate(to->xstate);
	memset(to->xstate + 6, 0, 18);	/* where the last x87 instruction was, and its operand */
	memcpy(to->arena, (void *)ARENA, ARENA_SIZE);
	memcpy(to->stack, (void *)STACK, STACK_SIZE);
	for (unsigned int i = 0; i < WINDOWS; i++) {
		u8 *w = window(p, i, &size);

		if (w)
			memcpy(to->data[i], w, size);
	}
	machine_memory(p);
}

/* ---- comparing ---- */

static const char *vector_difference(const struct state *a, const struct state *b)
{
	static const char *const names[] = { [2] = "ymm registers", [5] = "mask registers",
					     [6] = "zmm registers", [7] = "zmm16 to zmm31" };

	if (memcmp(a->xstate, b->xstate, X87_AT))
		return "x87's or mxcsr's state";
	if (memcmp(a->xstate + X87_AT, b->xstate + X87_AT, XMM_AT - X87_AT))
		return "x87 registers";
	if (memcmp(a->xstate + XMM_AT, b->xstate + XMM_AT, 256))
		return "vector registers";
	for (unsigned int i = 0; i < ARRAY_SIZE(vectors); i++) {
		u32 size;
		u8 *p = machine_component((struct state *)a, vectors[i], &size);

		if (p && memcmp(p, b->xstate + (p - a->xstate), size))
			return names[vectors[i]];
	}
	return NULL;
}

const char *machine_difference(const struct state *a, const struct state *b, const struct piece *p)
{
	static const struct { size_t at; const char *name; } names[] = {
#define REG(name) { offsetof(struct user_regs_struct, name), #name }
		REG(rip), REG(rsp), REG(eflags), REG(rax), REG(rbx), REG(rcx), REG(rdx), REG(rsi), REG(rdi),
		REG(rbp), REG(r8), REG(r9), REG(r10), REG(r11), REG(r12), REG(r13), REG(r14), REG(r15),
		REG(fs_base), REG(gs_base), REG(cs), REG(ss), REG(ds), REG(es), REG(fs), REG(gs),
#undef REG
	};
	static char text[160];
	const char *what;
	size_t size;

	if (a->signal != b->signal) {
		snprintf(text, sizeof(text), "signal %d, copy %d", a->signal, b->signal);
		return text;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		unsigned long long x, y;

		memcpy(&x, (const char *)&a->regs + names[i].at, 8);
		memcpy(&y, (const char *)&b->regs + names[i].at, 8);
		/* Selectors of no segment: which of them it is gets lost when the kernel is entered. */
		if (names[i].at >= offsetof(struct user_regs_struct, ds) && x < 4 && y < 4)
			continue;
		if (x != y) {
			snprintf(text, sizeof(text), "%s %llx, copy %llx", names[i].name, x, y);
			return text;
		}
	}
	if (a->fault != b->fault) {
		snprintf(text, sizeof(text), "fault at %lx, copy %lx", a->fault, b->fault);
		return text;
	}
	what = vector_difference(a, b);
	if (what)
		return what;
	if (memcmp(a->stack, b->stack, STACK_SIZE))
		return "stack";
	if (memcmp(a->arena, b->arena, ARENA_SIZE))
		return "memory";
	for (unsigned int i = 0; i < WINDOWS; i++)
		if (window(p, i, &size) && memcmp(a->data[i], b->data[i], size))
			return "the object's data";
	return NULL;
}
