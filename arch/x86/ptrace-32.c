/* SPDX-License-Identifier: MIT */
/* i386: struct pt_regs by name and by argument; see <ftrace/ptrace.h>. */
#include <ftrace/ftrace.h>

#include "arch.h"
#include "vectors.h"

#define REG(name, field)	{ name, offsetof(struct pt_regs, field) }

/* "sp" is where the stack top is, see <ftrace/arch-ptrace.h>. */
const struct arch_register arch_registers[] = {
	REG("bx", ebx), REG("cx", ecx), REG("dx", edx), REG("si", esi), REG("di", edi),
	REG("bp", ebp), REG("ax", eax), REG("ds", xds), REG("es", xes), REG("fs", xfs),
	REG("gs", xgs), REG("orig_ax", orig_eax), REG("ip", eip), REG("cs", xcs),
	REG("flags", eflags), REG("sp", esp),
	{ NULL, 0 }
};

FTRACE_PUBLIC unsigned long regs_get_argument(struct pt_regs *regs, unsigned int n)
{
	/* System V ABI, i386: all on the stack, behind the return address. */
	return ((unsigned long *)user_stack_pointer(regs))[1 + n];
}

unsigned long arch_frame_pointer(const struct pt_regs *regs)
{
	return (unsigned long)regs->ebp;
}

/* The stack pointer is where the structure lies. */
void arch_set_stack_pointer(struct pt_regs *regs, unsigned long sp)
{
}

/* Words below pt_regs, as entry-32.S lays its frame out. */
static u8 *saved_vectors(const struct pt_regs *regs)
{
	return ((u8 *const *)regs)[-1];
}

static u8 *saved_x87(const struct pt_regs *regs)
{
	return ((u8 *const *)regs)[-4];
}

unsigned long *arch_return_address(struct pt_regs *regs)
{
	return (unsigned long *)user_stack_pointer(regs);
}

bool arch_vectors_saved(const struct pt_regs *regs)
{
	return saved_vectors(regs);
}

#define X87_REGISTERS	28	/* where fnsave puts st0, ten bytes a register */

/*
 * Where st0 was saved, NULL: it holds nothing, or nothing was saved. Floating-point arguments are on the
 * stack, so that is the return value.
 */
__attribute__((visibility("hidden"))) u8 *regs_st0(struct pt_regs *regs, unsigned int n);

u8 *regs_st0(struct pt_regs *regs, unsigned int n)
{
	u8 *x87 = saved_x87(regs);

	return x87 && n == 0 ? x87 + X87_REGISTERS : NULL;
}

/* Ten bytes as the processor keeps them, made a double: what is lost is the end of the fraction. */
static u64 double_of(const u8 *x87)
{
	u64 fraction;
	u16 head;
	s32 exponent;

	ft_memcpy(&fraction, x87, sizeof(fraction));
	ft_memcpy(&head, x87 + 8, sizeof(head));
	exponent = (head & 0x7fff) - 16383 + 1023;
	if (!fraction || exponent <= 0)		/* zero, or as good as that */
		return (u64)(head >> 15) << 63;
	fraction = (fraction << 1) + (1u << 11);	/* without the leading one; rounded */
	if (fraction < 1u << 11 && (head & 0x7fff) != 0x7fff)
		exponent++;
	if ((head & 0x7fff) == 0x7fff)
		fraction -= 1u << 11;
	else if (exponent >= 2047)		/* more than a double can be */
		fraction = 0;
	if (exponent > 2047)
		exponent = 2047;
	return (u64)(head >> 15) << 63 | (u64)(u32)exponent << 52 | fraction >> 12;
}

/* What was a float before it came into an x87 register is one again, exactly. */
static u64 float_of(u64 bits)
{
	s32 exponent = (s32)(bits >> 52 & 0x7ff) - 1023 + 127;
	u32 sign = (u32)(bits >> 63) << 31;

	if (!(bits << 1))
		return sign;
	if ((bits >> 52 & 0x7ff) == 0x7ff)
		return sign | 0x7f800000u | (u32)(bits >> 29 & 0x7fffff);
	if (exponent >= 255)
		return sign | 0x7f800000u;
	if (exponent <= 0)	/* a denormal one */
		return exponent < -23 ? sign :
		       sign | (u32)((bits >> 29 & 0x7fffff) | 0x800000) >> (1 - exponent);
	return sign | (u32)exponent << 23 | (u32)(bits >> 29 & 0x7fffff);
}

FTRACE_INTERNAL bool ftrace_x87_bits(struct pt_regs *regs, unsigned int n, u32 word, u64 *bits)
{
	const u8 *st0 = regs_st0(regs, n);

	if (!st0 || word > 1)
		return false;
	*bits = 0;
	ft_memcpy(bits, st0 + word * sizeof(*bits), word ? 2 : sizeof(*bits));
	return true;
}

FTRACE_INTERNAL bool ftrace_fp_bits(struct pt_regs *regs, unsigned int n, bool ret, u32 size,
				    u32 word, u64 *bits)
{
	const u8 *st0 = ret ? regs_st0(regs, n) : NULL;

	if (!st0 || word)
		return false;
	*bits = double_of(st0);
	if (size == 4)
		*bits = float_of(*bits);
	return true;
}

/* double regs_get_fp_argument(regs, n) and its twin; this file is compiled without floating point. */
__asm__(".text\n"
	".globl regs_get_fp_argument\n"
	".type regs_get_fp_argument, @function\n"
	"regs_get_fp_argument:\n"
	"	.cfi_startproc\n"
	"	pushl 8(%esp)\n"
	"	.cfi_adjust_cfa_offset 4\n"
	"	pushl 8(%esp)\n"
	"	.cfi_adjust_cfa_offset 4\n"
	"	call regs_st0\n"
	"	addl $8, %esp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	testl %eax, %eax\n"
	"	jz 1f\n"
	"	fldt (%eax)\n"
	"	ret\n"
	"1:	fldz\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size regs_get_fp_argument, . - regs_get_fp_argument\n"
	".globl regs_set_fp_argument\n"
	".type regs_set_fp_argument, @function\n"
	"regs_set_fp_argument:\n"
	"	.cfi_startproc\n"
	"	pushl 8(%esp)\n"
	"	.cfi_adjust_cfa_offset 4\n"
	"	pushl 8(%esp)\n"
	"	.cfi_adjust_cfa_offset 4\n"
	"	call regs_st0\n"
	"	addl $8, %esp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	testl %eax, %eax\n"
	"	jz 1f\n"
	"	fldl 12(%esp)\n"
	"	fstpt (%eax)\n"
	"	xorl %eax, %eax\n"
	"	ret\n"
	"1:	movl $-22, %eax\n"		/* -EINVAL */
	"	ret\n"
	"	.cfi_endproc\n"
	".size regs_set_fp_argument, . - regs_set_fp_argument\n");

void arch_init(void)
{
	arch_vectors_init();
}
