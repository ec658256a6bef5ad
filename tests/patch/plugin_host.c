/* SPDX-License-Identifier: MIT */
/* Loads the library argv[1] and asks it at each "ask"; "unload" and "load" do that. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	void *handle = NULL;
	char line[64];

	while (argc > 1 && fgets(line, sizeof(line), stdin)) {
		int (*ask)(void) = NULL;

		if (!strcmp(line, "load\n"))
			handle = dlopen(argv[1], RTLD_NOW);
		if (!strcmp(line, "unload\n") && handle) {
			dlclose(handle);
			handle = NULL;
		}
		if (!strcmp(line, "ask\n") && handle)
			*(void **)&ask = dlsym(handle, "plugin_answer");
		printf("%d\n", ask ? ask() : handle ? 0 : -1);
		fflush(stdout);
	}
	return 0;
}
