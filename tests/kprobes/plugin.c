/* SPDX-License-Identifier: MIT */
/* A library that is probed while it comes and goes. */
int plugin_value(int a);

__attribute__((noinline)) int plugin_value(int a)
{
	__asm__ volatile("" : "+r"(a));
	return a + 1;
}
