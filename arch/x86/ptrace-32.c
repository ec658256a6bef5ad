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
