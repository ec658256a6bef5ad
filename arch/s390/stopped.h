/* SPDX-License-Identifier: MIT */
/* s390, both widths: what ptrace tells of a stopped thread. */
#ifndef FTRACE_ARCH_STOPPED_H
#define FTRACE_ARCH_STOPPED_H

#include "base.h"

/* The register set NT_PRSTATUS: the kernel's s390_regs, each width its own. */
struct stopped_regs {
	unsigned long psw_mask, psw_addr;
	unsigned long gprs[16];
	u32 access[16];
	unsigned long orig_gpr2;
};

/* NT_PRFPREG. */
struct stopped_fp {
	u32 fpc, unused;
	u64 fprs[16];
};

/* @request: PTRACE_GETREGSET or PTRACE_SETREGSET. 0 or -errno. */
int stopped_regset(int request, int tid, long set, void *regs, size_t size);

#endif /* FTRACE_ARCH_STOPPED_H */
