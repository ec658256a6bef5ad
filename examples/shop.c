/* SPDX-License-Identifier: MIT */
/* shop: prints a price for each line of input; fix-price.c is a patch for it. */
#include <stdio.h>
#include <stdlib.h>

static volatile long discount = 5;

__attribute__((noinline)) long price(long cents)
{
	return cents - discount;
}

int main(void)
{
	char line[64];

	while (fgets(line, sizeof(line), stdin)) {
		printf("%ld\n", price(atol(line)));
		fflush(stdout);
	}
	return 0;
}
