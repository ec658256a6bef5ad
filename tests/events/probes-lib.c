/* SPDX-License-Identifier: MIT */
/* A library with a probe of its own, and a place of one that the program has, too. */
#include "probes.h"

void in_library(long n, short s);

void in_library(long n, short s)
{
	__asm__ volatile(USDT("0", "lib", "called", "-%c0@%1 -2@%w2")
			 : : "i" (sizeof(n)), "r" (n), "r" (s));
	__asm__ volatile(USDT("0", "prog", "both", "1@%b0") : : "q" ((unsigned char)n));
}
