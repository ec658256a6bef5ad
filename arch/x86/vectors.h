/* SPDX-License-Identifier: MIT */
/* x86: which vector registers trampolines save around callbacks. */
#ifndef FTRACE_ARCH_VECTORS_H
#define FTRACE_ARCH_VECTORS_H

/* Once, before any trampoline runs: what this processor and system have. */
void arch_vectors_init(void);

#endif /* FTRACE_ARCH_VECTORS_H */
