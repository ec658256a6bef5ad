/* SPDX-License-Identifier: MIT */
/*
 * For flight recorders: BEFORE calls of before(), one of moment(), so many of after() that a small ring holds nothing
 * else; all that ROUNDS times. With "wait" before ROUNDS it begins with before() until SIGTERM.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLED	__attribute__((noinline, noipa))

static volatile unsigned int sink;
static volatile sig_atomic_t ends;

CALLED void before(unsigned int n) { sink += n; }
CALLED void moment(unsigned int round) { sink += round; }
CALLED void after(unsigned int n) { sink -= n; }

static void end(int sig)
{
	ends = 1;
}

int main(int argc, char **argv)
{
	unsigned int calls = 200000, rounds = argc > 1 ? (unsigned int)atoi(argv[argc - 1]) : 1;

	if (argc > 1 && !strcmp(argv[1], "wait")) {
		signal(SIGTERM, end);
		puts("ready");
		fflush(stdout);
		while (!ends)
			before(1);
	}
	for (unsigned int round = 0; round < rounds; round++) {
		for (unsigned int n = 0; n < calls; n++)
			before(n);
		moment(round);
		for (unsigned int n = 0; n < calls; n++)
			after(n);
	}
	puts("ok");
	return 0;
}
