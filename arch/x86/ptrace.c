/* SPDX-License-Identifier: MIT */
/* x86_64: struct pt_regs by name and by argument; see <ftrace/ptrace.h>. */
#include <cpuid.h>

#include <ftrace/ftrace.h>

#include "arch.h"
#include "vectors.h"

/* Flags that only popfq sets; in terms of what the trampolines compare them with, see entry.S. */
u32 ftrace_popf_flags = ~0u;

#define REG(name, field)	{ name, offsetof(struct pt_regs, field) }

const struct arch_register arch_registers[] = {
	REG("r15", r15), REG("r14", r14), REG("r13", r13), REG("r12", r12),
	REG("r11", r11), REG("r10", r10), REG("r9", r9), REG("r8", r8),
	REG("bx", rbx), REG("cx", rcx), REG("dx", rdx), REG("si", rsi), REG("di", rdi),
	REG("bp", rbp), REG("ax", rax), REG("orig_ax", orig_rax), REG("ip", rip),
	REG("cs", cs), REG("flags", eflags), REG("sp", rsp), REG("ss", ss),
	{ NULL, 0 }
};

FTRACE_PUBLIC unsigned long regs_get_argument(struct pt_regs *regs, unsigned int n)
{
	/* System V psABI, x86_64, 3.2.3: the order of integer arguments. */
	switch (n) {
	case 0: return regs->rdi;
	case 1: return regs->rsi;
	case 2: return regs->rdx;
	case 3: return regs->rcx;
	case 4: return regs->r8;
	case 5: return regs->r9;
	}
	return ((unsigned long *)regs->rsp)[1 + n - 6];	/* behind the return address */
}

unsigned long arch_frame_pointer(const struct pt_regs *regs)
{
	return regs->rbp;
}

unsigned long arch_return_slot(const struct pt_regs *regs, struct dyn_ftrace *site)
{
	return regs->rsp - sizeof(long);
}

void arch_set_stack_pointer(struct pt_regs *regs, unsigned long sp)
{
	regs->rsp = sp;
}

/* The saved vector registers, 64 bytes each: entry.S leaves their address behind pt_regs. */
static u8 *saved_vectors(struct pt_regs *regs)
{
	return *(u8 **)(regs + 1);
}

#define SAVED_VECTOR_SIZE	64

unsigned long *arch_return_address(struct pt_regs *regs)
{
	return (unsigned long *)user_stack_pointer(regs);
}

bool arch_vectors_saved(const struct pt_regs *regs)
{
	return *(u8 *const *)(regs + 1);
}

/* As bits: this file, as all in-process code, is compiled without floating point. */
__attribute__((visibility("hidden"))) u64 regs_fp_bits(struct pt_regs *regs, unsigned int n);

u64 regs_fp_bits(struct pt_regs *regs, unsigned int n)
{
	u8 *v = saved_vectors(regs);
	u64 bits = 0;

	if (v && n < 8)
		ft_memcpy(&bits, v + n * SAVED_VECTOR_SIZE, sizeof(bits));
	return bits;
}

/* Words of a register that are saved: what is above may be left out (entry-regs.h). */
static u32 saved_words(void)
{
	return ftrace_vector_kind ? 4 : 2;
}

FTRACE_INTERNAL bool ftrace_fp_bits(struct pt_regs *regs, unsigned int n, bool ret, u32 size,
				    u32 word, u64 *bits)
{
	const u8 *v = saved_vectors(regs);

	if (!v || n >= 8 || word >= saved_words())
		return false;
	ft_memcpy(bits, v + n * SAVED_VECTOR_SIZE + word * sizeof(*bits), sizeof(*bits));
	return true;
}

/*
 * Nothing of ours uses the x87 registers, so the program's are where it left them. Stored and loaded again
 * they are bit for bit what they were; not where there is none (fxam says so: C3 and C0 without C2), nor
 * while an exception is pending, which the first of these instructions would raise (fnstsw does not).
 */
#define X87_PENDING	0x80
#define X87_KIND	0x4500
#define X87_EMPTY	0x4100

/* False: it is empty. */
static bool store_top(u8 *top)
{
	u16 status;

	__asm__ volatile("fxam\n\tfnstsw %0" : "=a"(status));
	if ((status & X87_KIND) == X87_EMPTY)
		return false;
	__asm__ volatile("fstpt %0\n\tfldt %0" : "+m"(*(u8(*)[16])top));
	return true;
}

FTRACE_INTERNAL bool ftrace_x87_bits(struct pt_regs *regs, unsigned int n, u32 word, u64 *bits)
{
	u8 value[16] = { 0 };
	u16 status;
	bool there;

	__asm__ volatile("fnstsw %0" : "=a"(status));
	if (status & X87_PENDING || n > 1 || word > 1)
		return false;
	/* st(1) becomes the top for a moment. */
	if (n)
		__asm__ volatile("fincstp");
	there = store_top(value);
	if (n)
		__asm__ volatile("fdecstp");
	ft_memcpy(bits, value + word * sizeof(*bits), sizeof(*bits));
	return there;
}

__attribute__((visibility("hidden"))) int regs_set_fp_bits(struct pt_regs *regs, unsigned int n,
							   u64 bits);

int regs_set_fp_bits(struct pt_regs *regs, unsigned int n, u64 bits)
{
	u8 *v = saved_vectors(regs);

	if (!v || n >= 8)
		return -EINVAL;
	ft_memcpy(v + n * SAVED_VECTOR_SIZE, &bits, sizeof(bits));
	return 0;
}

/* double regs_get_fp_argument(regs, n) and its twin, whose doubles travel in %xmm0. */
__asm__(".text\n"
	".globl regs_get_fp_argument\n"
	".type regs_get_fp_argument, @function\n"
	"regs_get_fp_argument:\n"
	"	.cfi_startproc\n"
	"	subq $8, %rsp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	call regs_fp_bits\n"
	"	movq %rax, %xmm0\n"
	"	addq $8, %rsp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size regs_get_fp_argument, . - regs_get_fp_argument\n"
	".globl regs_set_fp_argument\n"
	".type regs_set_fp_argument, @function\n"
	"regs_set_fp_argument:\n"
	"	.cfi_startproc\n"
	"	movq %xmm0, %rdx\n"
	"	jmp regs_set_fp_bits\n"
	"	.cfi_endproc\n"
	".size regs_set_fp_argument, . - regs_set_fp_argument\n");

void arch_init(void)
{
	unsigned int a, b, c, d;

	/* sahf and lahf were not in the first processors of this architecture. */
	if (__get_cpuid(0x80000001, &a, &b, &c, &d) && c & bit_LAHF_LM)
		ftrace_popf_flags = ~0x8d7u;	/* carry, (1), parity, adjust, zero, sign; overflow */
	arch_vectors_init();
}
