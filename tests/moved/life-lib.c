/* SPDX-License-Identifier: MIT */
/* A library that comes and goes: life.c. */
static int count;
static int table[4] = { 3, 5, 7, 11 };

int lib_counted(int x);
int lib_reads(int x);
int lib_calls(int x);

__attribute__((noinline)) int lib_counted(int x)
{
	count += x;
	return count;
}

__attribute__((noinline)) int lib_reads(int x)
{
	return table[x & 3] * x;
}

int lib_calls(int x)
{
	int sum = 0;

	for (int i = 0; i < x; i++)
		sum += lib_reads(i);
	return lib_counted(0) + sum;
}
