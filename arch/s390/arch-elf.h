/* SPDX-License-Identifier: MIT */
/* s390, both widths: object files, and what compilers leave at an entry there. See recognise.h. */
#ifndef FTRACE_ARCH_ELF_H
#define FTRACE_ARCH_ELF_H

/* ELF files of this machine. */
#define ARCH_ELF_MACHINE	22	/* EM_S390, both widths */
#ifdef __s390x__
#define ARCH_ELF_WIDE		true
#else
#define ARCH_ELF_WIDE		false
#endif
#define ARCH_ELF_BIG_ENDIAN	true

/* Relocation types. */
#ifdef __s390x__
#define ARCH_R_WORD		22	/* R_390_64: symbol + addend */
#else
#define ARCH_R_WORD		4	/* R_390_32 */
#endif
#define ARCH_R_GLOB_DAT		10
#define ARCH_R_JUMP_SLOT	11
#define ARCH_R_RELATIVE		12	/* load base + addend */

#define ARCH_LANDING_PAD	0	/* there are none on this machine */
#define ARCH_UNLISTED_NOPS	true	/* -mhotpatch makes such */

#endif /* FTRACE_ARCH_ELF_H */
