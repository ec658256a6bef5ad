/* SPDX-License-Identifier: MIT */
/* The register state of a processor as fidelity-driver.S loads and stores it. */
#ifndef STATE_H
#define STATE_H

#define STATE_GENERAL	0	/* r0 to r15, whole registers also in 31-bit programs */
#define STATE_VECTOR	128	/* v0 to v31; the first halves of the first 16 are f0 to f15 */
#define STATE_FPC	640
#define STATE_CC	644	/* as IPM has it */
#define STATE_SIZE	656

#endif
