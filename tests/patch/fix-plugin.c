/* SPDX-License-Identifier: MIT */
/* A patch for plugin.c, loaded or not. */
#include <ftrace/patch.h>

static int fixed(void)
{
	return 99;
}
KLP_REPLACE_IN("plugin.so", plugin_answer, fixed);

#ifdef FIX_SYMBOL
KLP_SYMBOL_IN("plugin.so", volatile int, base);
int *use_base(void);
int *use_base(void)
{
	return (int *)&base;
}
#endif
