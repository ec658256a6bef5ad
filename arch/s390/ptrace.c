/* SPDX-License-Identifier: MIT */
/* s390, both widths: struct pt_regs by name and by argument; see <ftrace/ptrace.h>. */
#include <elf.h>

#include <ftrace/ftrace.h>

#include "arch.h"

/* Does this processor have vector registers? Read by entry.S. */
u32 ftrace_have_vectors;

#define GPR(n)			{ "r" #n, offsetof(struct pt_regs, gprs[n]) }

const struct arch_register arch_registers[] = {
	GPR(0), GPR(1), GPR(2), GPR(3), GPR(4), GPR(5), GPR(6), GPR(7), GPR(8), GPR(9), GPR(10),
	GPR(11), GPR(12), GPR(13), GPR(14), GPR(15),
	{ "psw.mask", offsetof(struct pt_regs, psw.mask) },
	{ "psw.addr", offsetof(struct pt_regs, psw.addr) },
	{ "orig_gpr2", offsetof(struct pt_regs, orig_gpr2) },
	{ NULL, 0 }
};

/* ELF ABI s390x supplement, 1.2: the first five integer arguments are in r2 to r6. */
#define REGISTER_ARGUMENTS	5

FTRACE_PUBLIC unsigned long regs_get_argument(struct pt_regs *regs, unsigned int n)
{
	if (n < REGISTER_ARGUMENTS)
		return regs->gprs[2 + n];
	return ((unsigned long *)(regs->gprs[15] + ARCH_ABI_FRAME))[n - REGISTER_ARGUMENTS];
}

unsigned long arch_frame_pointer(const struct pt_regs *regs)
{
	return regs->gprs[11];
}

void arch_set_stack_pointer(struct pt_regs *regs, unsigned long sp)
{
	regs->gprs[15] = sp;
}

unsigned long *arch_return_address(struct pt_regs *regs)
{
	return &regs->gprs[14];
}

unsigned long arch_return_slot(const struct pt_regs *regs, struct dyn_ftrace *site)
{
	return regs->gprs[15];
}

/* The saved floating point and vector registers: entry.S leaves their address behind pt_regs. */
static u8 *saved_vectors(struct pt_regs *regs)
{
	return *(u8 **)(regs + 1);
}

#define SAVED_VECTOR_SIZE	16	/* a floating point register is the left half of a vector one */
#ifdef __s390x__
#define FP_ARGUMENTS		4	/* in f0, f2, f4, f6 */
#else
#define FP_ARGUMENTS		2
#endif

bool arch_vectors_saved(const struct pt_regs *regs)
{
	return *(u8 *const *)(regs + 1);
}

/* As bits: this file, as all in-process code, is compiled without floating point. */
__attribute__((visibility("hidden"))) void regs_fp_bits(struct pt_regs *regs, unsigned int n,
							u64 *bits);

void regs_fp_bits(struct pt_regs *regs, unsigned int n, u64 *bits)
{
	u8 *v = saved_vectors(regs);

	*bits = 0;
	if (v && n < FP_ARGUMENTS)
		ft_memcpy(bits, v + 2 * n * SAVED_VECTOR_SIZE, sizeof(*bits));
}

FTRACE_INTERNAL bool ftrace_x87_bits(struct pt_regs *regs, unsigned int n, u32 word, u64 *bits)
{
	return false;
}

FTRACE_INTERNAL bool ftrace_fp_bits(struct pt_regs *regs, unsigned int n, bool ret, u32 size,
				    u32 word, u64 *bits)
{
	if (!saved_vectors(regs) || n >= FP_ARGUMENTS || word)
		return false;
	regs_fp_bits(regs, n, bits);
	if (size == 4)		/* the upper half of the register */
		*bits >>= 32;
	return true;
}

__attribute__((visibility("hidden"))) int regs_set_fp_bits(struct pt_regs *regs, unsigned int n,
							   const u64 *bits);

int regs_set_fp_bits(struct pt_regs *regs, unsigned int n, const u64 *bits)
{
	u8 *v = saved_vectors(regs);

	if (!v || n >= FP_ARGUMENTS)
		return -EINVAL;
	ft_memcpy(v + 2 * n * SAVED_VECTOR_SIZE, bits, sizeof(*bits));
	return 0;
}

void arch_init(void)
{
	unsigned long auxv[128], hwcap = 0;
	long n = ft_read_file("/proc/self/auxv", (char *)auxv, sizeof(auxv));

	for (unsigned int i = 0; n > 0 && i + 1 < (unsigned long)n / sizeof(auxv[0]); i += 2)
		if (auxv[i] == AT_HWCAP)
			hwcap = auxv[i + 1];
	ftrace_have_vectors = !!(hwcap & 1ul << 11);	/* HWCAP_S390_VXRS */
}

void arch_keep_all_vectors(void)
{
	/* They always are: those that a call changes, by the ABI. */
}
