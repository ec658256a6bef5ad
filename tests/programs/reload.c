// SPDX-License-Identifier: MIT
// reload LIBRARY LIBRARY: loads, calls and unloads them in turn, 50 times each.
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	for (int i = 0; i < 100; i++) {
		void *library = dlopen(argv[1 + i % 2], RTLD_NOW);
		void (*entry)(void) = library ? (void (*)(void))dlsym(library, "entry") : NULL;

		if (!entry)
			return 1;
		entry();
		dlclose(library);
	}
	return 0;
}
