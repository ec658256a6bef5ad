/* SPDX-License-Identifier: MIT */
/*
 * The whole register state of a processor as driver.S loads and stores it; offsets for both.
 * Vector registers are kept in 64-byte slots whatever their width.
 */
#ifndef STATE_H
#define STATE_H

#define STATE_FX	0	/* fxsave image (fxsave64 on x86_64): x87, mxcsr, xmm */
#define STATE_VECTOR	512	/* 32 slots of 64 bytes */
#define STATE_MASK	2560	/* k0-k7 */
#define STATE_GENERAL	2624	/* ax bx cx dx si di bp r8-r15, 8 bytes each, also on i386 */
#define STATE_SP	2744
#define STATE_FLAGS	2752
#define STATE_SIZE	2816

#ifdef __x86_64__
#define GENERALS	15
#define VECTORS		16
#define UPPER_VECTORS	32	/* with AVX-512 */
#else
#define GENERALS	7
#define VECTORS		8
#define UPPER_VECTORS	8
#endif

#define LEVEL_SSE	0
#define LEVEL_AVX	1
#define LEVEL_AVX512	2

#endif
