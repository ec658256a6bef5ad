/* SPDX-License-Identifier: MIT */
/* dlopen/dlclose cycles with the same libraries coming back. Arguments: two libraries. */
#include "t.h"
#include <dlfcn.h>

NOINLINE long own(long n) { KEEP(); return n + 1; }

int main(int argc, char **argv)
{
	long sum = 0;

	CHECK(argc == 3);
	for (int i = 0; i < 200; i++) {
		void *one = dlopen(argv[1], i % 2 ? RTLD_NOW : RTLD_LAZY);
		void *two = i % 3 ? dlopen(argv[2], RTLD_NOW | RTLD_GLOBAL) : NULL;
		long (*entry)(long);

		CHECK(one != NULL);
		CHECK((entry = (long (*)(long))dlsym(one, "plugin_entry")) != NULL);
		sum = own(sum + entry(i));
		if (two) {
			CHECK((entry = (long (*)(long))dlsym(two, "plugin_entry")) != NULL);
			sum = own(sum + entry(i));
			if (i % 5)
				dlclose(two);
		}
		dlclose(one);
	}
	printf("sum %ld\n", sum);
	return 0;
}
