/* SPDX-License-Identifier: MIT */
/* Calls that go on by a jump: chain.c is compiled for tracing, steps.c and load.c are not. */
#ifndef TESTS_LIVEPATCH_CHAIN_H
#define TESTS_LIVEPATCH_CHAIN_H

/* All of them agree on @how, the version: 1, or 2 of the patch's. What comes back otherwise is negative. */
#ifdef CHAIN_SHARED	/* in a library of its own: calls go through linkage tables */
#define HIDDEN
#ifndef CHAIN_SUFFIX
#define CHAIN_SUFFIX ""
#endif
#define CHAIN_OBJECT "livepatch-chain" CHAIN_SUFFIX ".so"
#else
#define HIDDEN __attribute__((visibility("hidden")))
#define CHAIN_OBJECT NULL
#endif
HIDDEN int chain_outer(int any);	/* jumps at its end to chain_inner */
HIDDEN int chain_far(int any);		/* jumps at its end to chain_middle */
HIDDEN int chain_long(int any);		/* jumps at its end to chain_hop, as that does to chain_end */
HIDDEN int chain_hop(int how);		/* no patch changes it, nor the next */
HIDDEN int chain_end(int how);		/* as chain_middle, which chain_far jumps to */
HIDDEN int chain_middle(int how);	/* calls chain_inner; no patch changes it */
HIDDEN int chain_inner(int how);
HIDDEN int chain_wait(int fd);		/* blocks in read() */

#endif
