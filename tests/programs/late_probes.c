/* SPDX-License-Identifier: MIT */
/* LIBRARY ROUNDS: for each round (or line of standard input, with ROUNDS 0) it loads the library, calls it, and unloads it. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static int round_of(const char *library, long n)
{
	void *lib = dlopen(library, RTLD_NOW);
	long (*entry)(long) = lib ? (long (*)(long))dlsym(lib, "late_entry") : NULL;

	if (!entry || entry(n) != n + 1 + 3 * n)
		return 1;
	return dlclose(lib);
}

int main(int argc, char **argv)
{
	long rounds = atol(argv[2]), wrong = 0, n = 0;
	char line[64];

	for (; n < rounds; n++)
		wrong += round_of(argv[1], n);
	if (!rounds) {
		puts("ready");
		fflush(stdout);
	}
	while (!rounds && fgets(line, sizeof(line), stdin)) {
		wrong += round_of(argv[1], n++);
		puts("done");
		fflush(stdout);
	}
	puts(wrong ? "wrong" : "ok");
	return wrong != 0;
}
