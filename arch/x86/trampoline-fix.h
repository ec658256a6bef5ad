/* SPDX-License-Identifier: MIT */
/* x86_64: what differs in each copy of trampoline.S; for that and trampoline.c. */
#ifndef FTRACE_ARCH_TRAMPOLINE_FIX_H
#define FTRACE_ARCH_TRAMPOLINE_FIX_H

#define TRAMPOLINE_SILENT	0	/* the address of ftrace_silent, 8 bytes */
#define TRAMPOLINE_SELF		1	/* ftrace_self's distance from the thread pointer; as all that follow 4 bytes */
#define TRAMPOLINE_OPS		2	/* from the next instruction, as all that follow: to the thunk's ops */
#define TRAMPOLINE_SITE		3	/* to the dyn_ftrace */
#define TRAMPOLINE_IP		4	/* to the site */
#define TRAMPOLINE_BODY		5	/* to the function's body */
#define TRAMPOLINE_STUB		6	/* to the site's stub */

#endif /* FTRACE_ARCH_TRAMPOLINE_FIX_H */
