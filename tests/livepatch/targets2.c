/* SPDX-License-Identifier: MIT */
/* A second function of the same name. */
#include "targets.h"

static __attribute__((noinline)) int twin(void)
{
	__asm__ volatile("nop");
	return 2;
}

int target_twin2(void)
{
	return twin();
}
