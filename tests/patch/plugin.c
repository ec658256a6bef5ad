/* SPDX-License-Identifier: MIT */
/* The library that plugin_host.c loads. */
static volatile int base = 20;

__attribute__((noipa)) int plugin_answer(void)
{
	return base + 1;
}
