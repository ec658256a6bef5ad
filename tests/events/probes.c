/* SPDX-License-Identifier: MIT */
/* Probes at known values, and what passes is printed. "watched": for a guarded one, while it waits for a line of input. */
#include <stdio.h>
#include <string.h>

#include "probes.h"

void in_library(long n, short s);

volatile unsigned short guard __attribute__((section(".probes"), used));
int hits;

static __attribute__((noinline)) void guarded(int n)
{
	if (!guard)
		return;
	hits++;
	__asm__ volatile(USDT("guard", "prog", "guarded", "-4@%0") : : "r" (n));
}

static __attribute__((noinline)) void sizes(long n)
{
	signed char c = (signed char)-n;
	unsigned char u = (unsigned char)(250 + n);
	unsigned short h = (unsigned short)(65000 + n);
	volatile int in_memory = (int)(-100000 - n);
	volatile unsigned int word = 4000000000u + (unsigned int)n;

	__asm__ volatile(USDT("0", "prog", "sizes", "-1@%b0 1@%b1 2@%w2 -4@%3 4@%4 -4@$-7")
			 : : "q" (c), "q" (u), "r" (h), "m" (in_memory), "m" (word));
	printf("sizes %d %u %u %d %u -7\n", c, u, h, in_memory, word);
}

/* What it names is nowhere: the program never reads it. */
static __attribute__((noinline)) void nowhere(int *p)
{
	__asm__ volatile(USDT("0", "prog", "nowhere", "-4@(%0) -4@$1 8@%%xmm0") : : "r" (p));
}

int main(int argc, char **argv)
{
	char line[16];

	for (int i = 0; i < 3; i++) {
		sizes(i);
		guarded(i * 10 - 10);
		in_library(-i - 1, (short)(100 * i));
		printf("called %d %d\n", -i - 1, 100 * i);
	}
	__asm__ volatile(USDT("0", "prog", "both", "4@%0") : : "r" (70000));
	nowhere((int *)16);
	if (argc > 1 && !strcmp(argv[1], "guarded"))
		printf("guard %d hits %d\n", guard, hits);
	for (int i = 1; argc > 1 && !strcmp(argv[1], "lines"); i++) {
		printf("%d %d\n", guard, hits);
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin))
			break;
		guarded(i);
	}
	return 0;
}
