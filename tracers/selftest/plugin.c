/* SPDX-License-Identifier: MIT */
/* An object that the self test loads and unloads. */
long plugin_double(long n);
long plugin_double(long n)
{
	return 2 * n;
}

/* Called by its constructor, before dlopen() returns. */
long plugin_early(long n);
__attribute__((noinline)) long plugin_early(long n)
{
	__asm__ volatile("" ::: "memory");
	return n;
}

__attribute__((constructor)) static void begin(void)
{
	plugin_early(1);
}
