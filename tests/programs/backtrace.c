/* SPDX-License-Identifier: MIT */
/* backtrace() in the depths names every function on the way, in order, in threads and handlers too. */
#include "t.h"
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>

/* Prints the chain of the executable's functions from the top down to main or thread. */
static UNTRACED void show(const char *what)
{
	void *frames[200];
	int count = backtrace(frames, 200);
	char path[4096], self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[length > 0 ? length : 0] = 0;
	printf("%s:", what);
	for (int i = 0; i < count; i++) {
		Dl_info info;

		if (!dladdr((char *)frames[i] - 1, &info) || !info.dli_sname)
			continue;
		if (!realpath(info.dli_fname, path) || strcmp(path, self))
			continue;
		if (strcmp(info.dli_sname, "show") && strcmp(info.dli_sname, "_start"))
			printf(" %s", info.dli_sname);
	}
	printf("\n");
}

NOINLINE void leaf(const char *what) { show(what); KEEP(); }
NOINLINE void three(const char *what) { leaf(what); KEEP(); }
NOINLINE void two(const char *what) { three(what); KEEP(); }
NOINLINE void one(const char *what, int again) { if (again) one(what, again - 1); else two(what); KEEP(); }
NOINLINE void handler(int number) { (void)number; one("handler", 1); KEEP(); }
NOINLINE void tail(const char *what) { two(what); }
void *thread(void *arg) { one(arg, 2); KEEP(); return NULL; }

int main(void)
{
	pthread_t id;

	one("main", 3);
	tail("tail");
	pthread_create(&id, NULL, thread, (void *)"thread");
	pthread_join(id, NULL);
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	return 0;
}
