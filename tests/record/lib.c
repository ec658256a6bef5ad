/* SPDX-License-Identifier: MIT */
/* A library of two functions: lib_work() calls lib_leaf() ten times. */
__attribute__((noinline, noclone)) int lib_leaf(int x)
{
	__asm__ volatile("" : "+r"(x));
	return x + 1;
}

int lib_work(int x)
{
	for (int i = 0; i < 10; i++)
		x = lib_leaf(x);
	return x;
}
