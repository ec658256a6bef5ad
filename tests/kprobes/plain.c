/* SPDX-License-Identifier: MIT */
/* Not compiled for tracing: a bit of everything a compiler makes, for probes at each instruction. */
#include <string.h>

#include "targets.h"

#define NOINLINE __attribute__((noinline, noclone))

NOINLINE int plain_add(int a, int b)
{
	__asm__ volatile("" : "+r"(a));
	return a + b;
}

/* A leaf with memory of its own: x86_64 code has it below the stack pointer. */
NOINLINE unsigned long plain_leaf(unsigned long seed)
{
	volatile unsigned long local[8];
	unsigned long sum = 0;

	for (int i = 0; i < 8; i++)
		local[i] = seed * (unsigned long)(i + 3);
	for (int i = 0; i < 8; i++)
		sum = (sum << 3 | sum >> 5) ^ local[i];
	return sum;
}

static unsigned long table[16];

NOINLINE unsigned long plain_mix(unsigned long seed, const char *text)
{
	unsigned long h = seed, n = strlen(text);
	double d = 1.5;

	for (unsigned long i = 0; i < n; i++) {
		h = h * 31 + (unsigned char)text[i];
		if (h & 1)
			h ^= table[h % 16] + 7;
		else if (h & 2)
			h = (unsigned long)plain_add((int)h, (int)i);
		else
			h += h / (i + 3) + h % (i + 5);
		table[i % 16] = h;
		d = d * 1.25 + (double)(h & 0xff);
	}
	return h + (unsigned long)d;
}

NOINLINE int plain_switch(int a)
{
	switch (a) {
	case 0: return 17;
	case 1: return plain_add(a, 4);
	case 2: return a * 9;
	case 3: return -a;
	case 4: return a << 5;
	case 5: return plain_add(a, a);
	case 6: return a ^ 0x55;
	case 7: return 3;
	}
	return a;
}

NOINLINE int plain_recurse(int n, int (*down)(int, int))
{
	int below = n > 1 ? plain_recurse(n - 1, down) : 0;

	return down(below, n);
}

unsigned long plain_corpus(unsigned long seed)
{
	unsigned long sum = plain_leaf(seed);

	memset(table, 0, sizeof(table));
	sum += plain_mix(seed, "a text that is mixed, and is neither short nor long");
	for (int i = -1; i < 9; i++)
		sum = sum * 5 + (unsigned long)plain_switch(i);
	return sum + (unsigned long)plain_recurse(7, plain_add);
}
