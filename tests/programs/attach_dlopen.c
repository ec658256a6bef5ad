/* SPDX-License-Identifier: MIT */
/* Loads and unloads libraries all the time, in two threads. Ends at SIGTERM with "ok". */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t ends;

static void on_term(int sig)
{
	ends = 1;
}

static void *loads(void *name)
{
	while (!ends) {
		void *blocks[100], *lib = dlopen(name, RTLD_NOW);
		double (*cosine)(double);

		if (!lib) {
			puts(dlerror());
			exit(3);
		}
		cosine = (double (*)(double))dlsym(lib, "cos");
		if (cosine && cosine(0) != 1)
			exit(4);
		dlclose(lib);
		for (int i = 0; i < 100; i++)
			blocks[i] = malloc((size_t)i * 17);
		for (int i = 0; i < 100; i++)
			free(blocks[i]);
	}
	return NULL;
}

int main(void)
{
	pthread_t one, two;

	signal(SIGTERM, on_term);
	puts("ready");
	fflush(stdout);
	pthread_create(&one, NULL, loads, "libm.so.6");
	pthread_create(&two, NULL, loads, "libz.so.1");
	while (!ends)
		usleep(1000);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	puts("ok");
	return 0;
}
