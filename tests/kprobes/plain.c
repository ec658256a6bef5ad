/* SPDX-License-Identifier: MIT */
#include "targets.h"

__attribute__((noinline, noclone)) int plain_add(int a, int b)
{
	__asm__ volatile("" : "+r"(a));
	return a + b;
}
