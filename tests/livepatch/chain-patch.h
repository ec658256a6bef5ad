/* SPDX-License-Identifier: MIT */
/* The patch for chain.c, and the ways its functions are called. */
#ifndef TESTS_LIVEPATCH_CHAIN_PATCH_H
#define TESTS_LIVEPATCH_CHAIN_PATCH_H

#include <unistd.h>

#include "chain.h"
#include "test.h"

static long chain_mixed;	/* calls that came from the other version, as the functions themselves see it */

static int chain_inner2(int how)
{
	if (how != 2)
		__atomic_fetch_add(&chain_mixed, 1, __ATOMIC_RELAXED);
	return how == 2 ? 2 : -2;
}

static int chain_outer2(int any)
{
	return chain_inner(2);
}

static int chain_far2(int any)
{
	return chain_middle(2);
}

static int chain_long2(int any)
{
	return chain_hop(2);
}

static int chain_wait2(int fd)
{
	char c;

	return read(fd, &c, 1) == 1 ? 2 : -1;
}

static struct klp_func chain_funcs[] = {
	{ .old_name = "chain_outer", .new_func = chain_outer2 },
	{ .old_name = "chain_inner", .new_func = chain_inner2 },
	{ .old_name = "chain_far", .new_func = chain_far2 },
	{ .old_name = "chain_long", .new_func = chain_long2 },
	{ .old_name = "chain_wait", .new_func = chain_wait2 }, { } };
static struct klp_object chain_objs[] = { { .name = CHAIN_OBJECT, .funcs = chain_funcs }, { } };
static struct klp_patch chain_patch = { .name = "chain", .objs = chain_objs };

static int (*volatile chain_pointers[])(int) = { chain_outer, chain_far, chain_long };

#define CHAIN_CALLS 6

/* The version that has run, else negative. */
static inline int chain_call(unsigned long how)
{
	int got;

	switch (how % CHAIN_CALLS) {
	case 0:
		got = chain_outer(0);
		break;
	case 1:
		got = chain_far(0);
		break;
	case 2:
		got = chain_long(0);
		break;
	default:		/* where the call leads cannot be read from its bytes */
		got = chain_pointers[how % 3](0);
	}
	__asm__ volatile("");	/* a call with a return */
	return got;
}

#endif
