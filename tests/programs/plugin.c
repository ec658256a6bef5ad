/* SPDX-License-Identifier: MIT */
/* A library for dlcycle.c and dlthreads.c. PLUGIN_STEP makes one differ from another. */
#include "t.h"
#ifndef PLUGIN_STEP
#define PLUGIN_STEP 1
#endif

static long loads;
static NOINLINE long step(long n) { KEEP(); return n + PLUGIN_STEP; }
long plugin_entry(long n);
__attribute__((visibility("default"))) NOINLINE long plugin_entry(long n)
{
	long r = step(n);

	for (int i = 0; i < 10; i++)
		r = step(r);
	return r * loads;
}
static __attribute__((constructor)) void load(void) { loads += step(0) / PLUGIN_STEP; }
static __attribute__((destructor)) void unload(void) { loads = step(-PLUGIN_STEP); }
