/* SPDX-License-Identifier: MIT */
/* x86: which vector registers trampolines save around callbacks. */
#ifndef FTRACE_ARCH_VECTORS_H
#define FTRACE_ARCH_VECTORS_H

#include "../../engine/base.h"

/* Once, before any trampoline runs: what this processor and system have. */
void arch_vectors_init(void);

/* What is saved; 0: xmm registers alone, as there are no wider ones (VECTORS_* in entry-regs.h). */
extern FTRACE_INTERNAL u32 ftrace_vector_kind;

#endif /* FTRACE_ARCH_VECTORS_H */
