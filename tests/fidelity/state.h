/* SPDX-License-Identifier: MIT */
/*
 * The whole register state of a processor as driver.S loads and stores it; offsets for both.
 * Vector registers are kept in 64-byte slots whatever their width.
 */
#ifndef STATE_H
#define STATE_H

#define STATE_FX	0	/* fxsave64 image: x87, mxcsr, xmm */
#define STATE_VECTOR	512	/* 32 slots of 64 bytes */
#define STATE_MASK	2560	/* k0-k7 */
#define STATE_GENERAL	2624	/* rax rbx rcx rdx rsi rdi rbp r8-r15 */
#define STATE_SP	2744
#define STATE_FLAGS	2752
#define STATE_SIZE	2816

#define LEVEL_SSE	0
#define LEVEL_AVX	1
#define LEVEL_AVX512	2

#endif
