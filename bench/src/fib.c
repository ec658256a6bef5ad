/* SPDX-License-Identifier: MIT */
/*
 * fib N...: prints fib(N) of each, which makes 2 fib(N + 1) - 1 calls. What large recordings are made of.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sites.h"

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: fib N...\n");
		return 2;
	}
	for (int i = 1; i < argc; i++)
		printf("%lu\n", traced_fib(strtoul(argv[i], NULL, 10)));
	return 0;
}
