/* SPDX-License-Identifier: MIT */
/* x86, both widths: object files, and what compilers leave at an entry there. See recognise.h. */
#ifndef FTRACE_ARCH_ELF_H
#define FTRACE_ARCH_ELF_H

/* ELF files of this machine. */
#ifdef __x86_64__
#define ARCH_ELF_MACHINE	62	/* EM_X86_64 */
#define ARCH_ELF_WIDE		true
#else
#define ARCH_ELF_MACHINE	3	/* EM_386 */
#define ARCH_ELF_WIDE		false
#endif
#define ARCH_ELF_BIG_ENDIAN	false

/* Relocation types; i386 and x86_64 number these alike. */
#define ARCH_R_WORD		1	/* R_X86_64_64, R_386_32: symbol + addend */
#define ARCH_R_GLOB_DAT		6
#define ARCH_R_JUMP_SLOT	7
#define ARCH_R_RELATIVE		8	/* load base + addend */

#define ARCH_LANDING_PAD	4	/* the length of one */
#define ARCH_UNLISTED_NOPS	false	/* no compiler makes such */

#endif /* FTRACE_ARCH_ELF_H */
