/* SPDX-License-Identifier: MIT */
/*
 * A caller and what it calls, changed together, of which the caller is not on the stack any more when
 * the other is reached: what gcc makes of a call at a function's end. The arguments are such that i386 can, too.
 */
#include <unistd.h>

#include "chain.h"

#define NOIPA __attribute__((noipa))

NOIPA int chain_inner(int how)
{
	return how == 1 ? 1 : -1;
}

NOIPA int chain_outer(int any)
{
	return chain_inner(1);
}

NOIPA int chain_middle(int how)
{
	int got = chain_inner(how);

	__asm__ volatile("");
	return got == how ? got : -10;
}

NOIPA int chain_far(int any)
{
	return chain_middle(1);
}

NOIPA int chain_end(int how)
{
	int got = chain_inner(how);

	__asm__ volatile("");
	return got == how ? got : -20;
}

NOIPA int chain_hop(int how)
{
	return chain_end(how);
}

NOIPA int chain_long(int any)
{
	return chain_hop(1);
}

NOIPA int chain_wait(int fd)
{
	char c;

	return read(fd, &c, 1) == 1 ? 1 : -1;
}
