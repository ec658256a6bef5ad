/* SPDX-License-Identifier: MIT */
/*
 * struct pt_regs and its accessors, with the kernel's names (include/linux/ptrace.h,
 * arch/<isa>/include/asm/ptrace.h). The structure is the architecture's own, from
 * <ftrace/arch-ptrace.h>; all accessors are async-signal-safe.
 */
#ifndef FTRACE_PTRACE_H
#define FTRACE_PTRACE_H

#include <ftrace/arch-ptrace.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where execution continues after the callback. */
static inline unsigned long instruction_pointer(const struct pt_regs *regs)
{
#ifdef FTRACE_CODE_ADDRESS
	return FTRACE_CODE_ADDRESS(FTRACE_REGS_IP(regs));
#else
	return FTRACE_REGS_IP(regs);
#endif
}

/* Continue at @ip instead (FTRACE_OPS_FL_IPMODIFY). */
static inline void instruction_pointer_set(struct pt_regs *regs, unsigned long ip)
{
#ifdef FTRACE_CODE_POINTER
	FTRACE_REGS_IP(regs) = FTRACE_CODE_POINTER(ip);
#else
	FTRACE_REGS_IP(regs) = ip;
#endif
}

/* The stack pointer as the caller's call left it: on x86 the word there is the return address. */
static inline unsigned long user_stack_pointer(const struct pt_regs *regs)
{
	return FTRACE_REGS_SP(regs);
}

/* What the function returns, valid in a retfunc. */
static inline unsigned long regs_return_value(const struct pt_regs *regs)
{
	return FTRACE_REGS_RETURN(regs);
}

static inline void regs_set_return_value(struct pt_regs *regs, unsigned long value)
{
	FTRACE_REGS_RETURN(regs) = value;
}

/*
 * Argument @n (from 0) of a function whose arguments are all integers or pointers, at its entry:
 * from its register, or from the stack beyond those (which is read: the address is the caller's
 * frame and therefore there).
 */
unsigned long regs_get_argument(struct pt_regs *regs, unsigned int n);

/*
 * Floating-point argument @n (from 0; as a double), or in a retfunc with @n 0 or 1 the
 * floating-point return value. Only where vector registers were saved: not under
 * FTRACE_OPS_FL_GENERAL_REGS, and only registers, not the stack. 0.0 otherwise.
 * regs_set_fp_argument() changes the register. -EINVAL where it was not saved.
 */
double regs_get_fp_argument(struct pt_regs *regs, unsigned int n);
int regs_set_fp_argument(struct pt_regs *regs, unsigned int n, double value);

/*
 * The offset in bytes of the register @name ("ip", "di", "r8", ...: the kernel's names) in struct
 * pt_regs. -EINVAL: no such register.
 */
int regs_query_register_offset(const char *name);

/* The name of the register at @offset, NULL if none begins there. */
const char *regs_query_register_name(unsigned int offset);

/* The register at @offset; 0 for an offset outside. */
static inline unsigned long regs_get_register(const struct pt_regs *regs, unsigned int offset)
{
#ifdef FTRACE_REGS_SP_OFFSET
	if (offset == FTRACE_REGS_SP_OFFSET)	/* where it lies is what it is */
		return FTRACE_REGS_SP(regs);
#endif
	if (offset > sizeof(*regs) - sizeof(unsigned long))
		return 0;
	return *(const unsigned long *)((const char *)regs + offset);
}

#ifdef __cplusplus
}
#endif
#endif /* FTRACE_PTRACE_H */
