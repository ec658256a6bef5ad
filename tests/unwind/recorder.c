/* SPDX-License-Identifier: MIT */
/* The recorder's agent has switched the stubs on; STUBS_OPS=function tells which tracer it is. */
#include "stubs.h"

#include <stdlib.h>
#include <string.h>

long stubs_entered, stubs_returned;
const bool stubs_counted;
bool stubs_hook, stubs_own, stubs_replaced;

void stubs_start(void)
{
	const char *ops = getenv("STUBS_OPS");

	stubs_hook = !ops || strcmp(ops, "function");
	stubs_look();
}
