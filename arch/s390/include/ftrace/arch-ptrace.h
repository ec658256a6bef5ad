/* SPDX-License-Identifier: MIT */
/*
 * s390, both widths: the registers of a traced function, with the field names of the kernel's struct
 * pt_regs (arch/s390/include/asm/ptrace.h), which user space's headers do not have.
 *
 *	psw.mask	with FTRACE_OPS_FL_SAVE_REGS and in graph callbacks: the program status word's
 *			mask at the entry, as EPSW tells it, condition code included (31 bits: its
 *			upper half). The condition code and the program mask are put back from it, the
 *			rest is never written back.
 *	psw.addr	where execution continues: the instruction behind the site. A callback that
 *			changes it (FTRACE_OPS_FL_IPMODIFY) makes another function run instead; that
 *			one finds the address in r1, as it would behind a procedure linkage table
 *			entry, and every other register as it stands here.
 *	gprs[0..13]	as the caller left them. r0 holds the static chain of gcc's nested functions.
 *	gprs[14]	the return address. A callback that changes it changes where the function
 *			returns to; psw.addr is another field, and both may be changed at once.
 *	gprs[15]	the stack pointer as the caller left it; the back chain and the register save
 *			area are above it. A callback may raise it, not lower it.
 *	orig_gpr2	a copy of r2 at the entry, never written back (in the kernel: the first argument
 *			of a system call).
 *
 * At a function's return (graph callbacks) gprs[2] and, for 64-bit values of 31-bit programs, gprs[3]
 * hold what it returns; r0, r1, r4, r5 and r14 are dead there by the ABI, and not what the function left.
 *
 * In 31-bit programs code addresses may carry bit 0x80000000, which tells the processor that it is
 * in 31-bit mode: gprs[14] and psw.addr have it, ip and parent_ip of callbacks do not. Whether it is
 * set in an address that a callback writes to psw.addr makes no difference.
 */
#ifndef FTRACE_ARCH_PTRACE_H
#define FTRACE_ARCH_PTRACE_H

#ifdef __cplusplus
extern "C" {
#endif

struct pt_regs {
	struct {
		unsigned long mask;
		unsigned long addr;
	} psw;
	unsigned long gprs[16];
	unsigned long orig_gpr2;
};

#ifdef __cplusplus
}
#endif

#ifndef __s390x__
/* The address that a code pointer means, and what the processor makes of an address. */
#define FTRACE_CODE_ADDRESS(addr)	((addr) & 0x7ffffffful)
#define FTRACE_CODE_POINTER(addr)	((addr) | 0x80000000ul)
#endif

#define FTRACE_REGS_IP(regs)		((regs)->psw.addr)
#define FTRACE_REGS_SP(regs)		((regs)->gprs[15])
#define FTRACE_REGS_RETURN(regs)	((regs)->gprs[2])

#endif /* FTRACE_ARCH_PTRACE_H */
