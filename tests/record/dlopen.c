/* SPDX-License-Identifier: MIT */
/* dlopen LIBRARY N: loads it, calls lib_work() once, unloads it, N times. */
#include <dlfcn.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	for (int n = atoi(argv[2]); n > 0; n--) {
		void *lib = dlopen(argv[1], RTLD_NOW);
		int (*work)(int) = lib ? (int (*)(int))dlsym(lib, "lib_work") : NULL;

		if (!work || work(0) != 10 || dlclose(lib))
			return 1;
	}
	return 0;
}
