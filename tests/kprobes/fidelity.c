/* SPDX-License-Identifier: MIT */
/*
 * Every register, the flags and the memory below the stack pointer are as they were behind a probe, by whichever way
 * it is met; and handlers see and change them.
 */
#include <stdlib.h>

#include "test.h"

#define PATTERNS 24

unsigned long fidelity_in[20], fidelity_out[20], fidelity_zone;
unsigned char fidelity_vectors[16 * 16], fidelity_vectors_out[16 * 16];
void fidelity_run(void);
extern char fidelity_short[], fidelity_long[], fidelity_indirect[], fidelity_end[];

/*
 * fidelity_run: all registers from fidelity_in, two instructions to be probed, all registers to fidelity_out. The
 * flags are number 16, sp is left alone. Below the stack pointer there is a pattern.
 */
#ifdef __x86_64__
__asm__(".text\n"
	".globl fidelity_run\n.type fidelity_run, @function\n"
	"fidelity_run:\n"
	".cfi_startproc\n"
	"push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
	".cfi_def_cfa_offset 56\n"
	"lea fidelity_vectors(%rip), %rax\n"
	".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"movups \\n*16(%rax), %xmm\\n\n"
	".endr\n"
	"lea fidelity_in(%rip), %rax\n"
	"push 16*8(%rax)\npopfq\n"
	".irp n,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16\n"
	"movq $0x5a5a5a, -8*\\n(%rsp)\n"
	".endr\n"
	"mov 1*8(%rax), %rbx\nmov 2*8(%rax), %rcx\nmov 3*8(%rax), %rdx\nmov 4*8(%rax), %rsi\n"
	"mov 5*8(%rax), %rdi\nmov 6*8(%rax), %rbp\nmov 7*8(%rax), %r8\nmov 8*8(%rax), %r9\n"
	"mov 9*8(%rax), %r10\nmov 10*8(%rax), %r11\nmov 11*8(%rax), %r12\nmov 12*8(%rax), %r13\n"
	"mov 13*8(%rax), %r14\nmov 14*8(%rax), %r15\nmov 0*8(%rax), %rax\n"
	".globl fidelity_short, fidelity_long, fidelity_indirect, fidelity_end\n"
	"fidelity_short: mov %rax, %rax\n"		/* 3 bytes, and the next 7 */
	"fidelity_long: lea 0x1000(%rsi), %rsi\n"
	"fidelity_end: lea -0x1000(%rsi), %rsi\n"
	"mov %rax, fidelity_out(%rip)\n"
	"mov %rbx, 8+fidelity_out(%rip)\nmov %rcx, 16+fidelity_out(%rip)\n"
	"mov %rdx, 24+fidelity_out(%rip)\nmov %rsi, 32+fidelity_out(%rip)\n"
	"mov %rdi, 40+fidelity_out(%rip)\nmov %rbp, 48+fidelity_out(%rip)\n"
	"mov %r8, 56+fidelity_out(%rip)\nmov %r9, 64+fidelity_out(%rip)\n"
	"mov %r10, 72+fidelity_out(%rip)\nmov %r11, 80+fidelity_out(%rip)\n"
	"mov %r12, 88+fidelity_out(%rip)\nmov %r13, 96+fidelity_out(%rip)\n"
	"mov %r14, 104+fidelity_out(%rip)\nmov %r15, 112+fidelity_out(%rip)\n"
	"mov $0, %eax\n"
	".irp n,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16\n"
	"mov -8*\\n(%rsp), %rcx\n"
	"lea (%rax,%rcx), %rax\n"
	".endr\n"
	"mov %rax, fidelity_zone(%rip)\n"
	"pushfq\npop %rax\n"
	"mov %rax, 128+fidelity_out(%rip)\n"
	"cld\n"
	"lea fidelity_vectors_out(%rip), %rax\n"
	".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"movups %xmm\\n, \\n*16(%rax)\n"
	".endr\n"
	"pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\n"
	".cfi_def_cfa_offset 8\n"
	"ret\n"
	".cfi_endproc\n"
	".size fidelity_run, . - fidelity_run\n");
#define ZONE	(16 * 0x5a5a5aul)
#define VECTORS	16
static unsigned long *numbered(struct pt_regs *r, int n)
{
	unsigned long *all[16] = { &r->rax, &r->rbx, &r->rcx, &r->rdx, &r->rsi, &r->rdi, &r->rbp, &r->r8,
				   &r->r9, &r->r10, &r->r11, &r->r12, &r->r13, &r->r14, &r->r15, NULL };
	return all[n];
}
#define REGS	15
#define FLAGS(r)	((r)->eflags)
#else
__asm__(".text\n"
	".globl fidelity_run\n.type fidelity_run, @function\n"
	"fidelity_run:\n"
	".cfi_startproc\n"
	"push %ebx\npush %ebp\npush %esi\npush %edi\n"
	".cfi_def_cfa_offset 20\n"
	".irp n,0,1,2,3,4,5,6,7\n"
	"movups fidelity_vectors+\\n*16, %xmm\\n\n"
	".endr\n"
	"push fidelity_in+16*4\npopfl\n"
	"mov fidelity_in+4, %ebx\nmov fidelity_in+8, %ecx\nmov fidelity_in+12, %edx\n"
	"mov fidelity_in+16, %esi\nmov fidelity_in+20, %edi\nmov fidelity_in+24, %ebp\n"
	"mov fidelity_in, %eax\n"
	".globl fidelity_short, fidelity_long, fidelity_indirect, fidelity_end\n"
	"fidelity_short: mov %eax, %eax\n"
	"fidelity_long: lea 0x1000(%esi), %esi\n"
	"fidelity_end: lea -0x1000(%esi), %esi\n"
	"mov %eax, fidelity_out\nmov %ebx, fidelity_out+4\nmov %ecx, fidelity_out+8\n"
	"mov %edx, fidelity_out+12\nmov %esi, fidelity_out+16\nmov %edi, fidelity_out+20\n"
	"mov %ebp, fidelity_out+24\n"
	"pushfl\npop fidelity_out+64\n"
	"cld\n"
	".irp n,0,1,2,3,4,5,6,7\n"
	"movups %xmm\\n, fidelity_vectors_out+\\n*16\n"
	".endr\n"
	"pop %edi\npop %esi\npop %ebp\npop %ebx\n"
	".cfi_def_cfa_offset 4\n"
	"ret\n"
	".cfi_endproc\n"
	".size fidelity_run, . - fidelity_run\n");
#define ZONE	0ul
#define VECTORS	8
static unsigned long *numbered(struct pt_regs *r, int n)
{
	long *all[7] = { &r->eax, &r->ebx, &r->ecx, &r->edx, &r->esi, &r->edi, &r->ebp };

	return (unsigned long *)all[n];
}
#define REGS	7
#define FLAGS(r)	((unsigned long)(r)->eflags)
#endif

#define CHANGEABLE_FLAGS	0xcd5ul		/* carry to overflow, direction; not trap and interrupt */

static unsigned long seen_wrong, hits;

static void check_seen(struct pt_regs *regs)
{
	hits++;
	for (int i = 0; i < REGS; i++)
		if (i != 4)		/* one of the instructions has changed it */
			seen_wrong += *numbered(regs, i) != fidelity_in[i];
	seen_wrong += (FLAGS(regs) & CHANGEABLE_FLAGS) != (fidelity_in[16] & CHANGEABLE_FLAGS);
}

/* Makes a mess of vector registers, as any C function may. */
static void use_vectors(void)
{
	__asm__ volatile("pxor %%xmm0, %%xmm0\npxor %%xmm1, %%xmm1\npcmpeqd %%xmm7, %%xmm7"
			 ::: "memory");
}

static int pre(struct kprobe *p, struct pt_regs *regs)
{
	check_seen(regs);
	use_vectors();
	return 0;
}

static void post(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
	check_seen(regs);
	use_vectors();
}

static bool run(unsigned long seed)
{
	bool good = true;

	srand((unsigned int)seed);
	for (int i = 0; i < REGS; i++)
		fidelity_in[i] = (unsigned long)rand() * 0x10001ul + seed;
	fidelity_in[16] = ((unsigned long)rand() & CHANGEABLE_FLAGS) | 0x202;
	for (unsigned int i = 0; i < sizeof(fidelity_vectors); i++)
		fidelity_vectors[i] = (unsigned char)rand();
	memset(fidelity_out, 0, sizeof(fidelity_out));
	fidelity_run();
	for (int i = 0; i < REGS; i++)
		good &= fidelity_in[i] == fidelity_out[i];
	good &= (fidelity_in[16] & CHANGEABLE_FLAGS) == (fidelity_out[16] & CHANGEABLE_FLAGS);
	good &= fidelity_zone == ZONE;
	return good && !memcmp(fidelity_vectors, fidelity_vectors_out, VECTORS * 16);
}

/*
 * Places by number: an address among the bytes that a jump is to cover, anywhere on the stack, might be where a signal
 * handler returns to, and it would be a breakpoint.
 */
enum place { SHORT, LONG };

static kprobe_opcode_t *address(enum place place)
{
	return (kprobe_opcode_t *)(place == SHORT ? fidelity_short : fidelity_long);
}

static void each(const char *what, enum place place, bool behind, unsigned int flags, unsigned int want)
{
	struct kprobe kp = { .addr = address(place), .pre_handler = pre,
			     .post_handler = behind ? post : NULL, .flags = flags };
	static struct kprobe inside;	/* not on the stack, where a signal's frame might have the address */
	bool good = true;
	int err;

	inside = (struct kprobe){ .addr = (kprobe_opcode_t *)fidelity_long, .pre_handler = pre };
	if (!want)		/* one inside of what a jump would cover: a breakpoint it is */
		register_kprobe(&inside);
	err = register_kprobe(&kp);
	seen_wrong = hits = 0;
	for (unsigned long i = 0; i < PATTERNS && !err; i++)
		good &= run(i * 77 + 5);
	ok(!err && good && !seen_wrong && hits >= PATTERNS && (kp.flags & KPROBE_FLAG_OPTIMIZED) == want,
	   "%s%s", what, behind ? ", and behind it" : "");
	if (err)
		printf("# %s\n", last_said);
	else
		unregister_kprobe(&kp);
	if (!want)
		unregister_kprobe(&inside);
}

/* ---- changed by handlers ---- */

static int change_all(struct kprobe *p, struct pt_regs *regs)
{
	for (int i = 0; i < REGS; i++)
		*numbered(regs, i) = 0x1000ul + (unsigned long)i;

	regs->eflags = 0x202 | 0x8d5;
	return 0;
}

static int skip_it(struct kprobe *p, struct pt_regs *regs)
{
	instruction_pointer_set(regs, (unsigned long)fidelity_end);
	return 1;
}

static void test_changes(enum place place, const char *how)
{
	struct kprobe kp = { .addr = address(place), .pre_handler = change_all };
	bool good = true;

	register_kprobe(&kp);
	run(3);
	for (int i = 0; i < REGS; i++)
		good &= fidelity_out[i] == 0x1000ul + (unsigned long)i;
	ok(good && (fidelity_out[16] & CHANGEABLE_FLAGS) == (0x8d5 & CHANGEABLE_FLAGS) &&
	   fidelity_zone == ZONE, "changed registers and flags count, %s", how);
	unregister_kprobe(&kp);
	kp = (struct kprobe){ .addr = address(place), .pre_handler = skip_it };
	register_kprobe(&kp);
	run(4);
	ok(fidelity_out[4] == fidelity_in[4] - 0x1000 && fidelity_zone == ZONE,
	   "instructions are skipped by a changed ip, %s", how);
	unregister_kprobe(&kp);
	ok(run(5), "and it is gone");
}

int main(void)
{
	ftrace_set_log(say);
	ok(run(1), "the test itself");
	each("a jump over two instructions", SHORT, false, 0, KPROBE_FLAG_OPTIMIZED);
	each("a jump over two instructions", SHORT, true, 0, KPROBE_FLAG_OPTIMIZED);
	each("a jump over one", LONG, false, 0, KPROBE_FLAG_OPTIMIZED);
	each("a jump over one", LONG, true, 0, KPROBE_FLAG_OPTIMIZED);
	each("a breakpoint", SHORT, false, 0, 0);
	each("a breakpoint", SHORT, true, 0, 0);
	test_changes(SHORT, "by a jump");
	test_changes(LONG, "by a jump over one");
	return tap_done();
}
