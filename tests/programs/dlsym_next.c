/* SPDX-License-Identifier: MIT */
/* Tail calls to dlsym(RTLD_NEXT), which looks at its return address to know who asks; also dlopen. */
#include "t.h"
#include <dlfcn.h>

NOINLINE void *next(const char *name) { return dlsym(RTLD_NEXT, name); }
NOINLINE void *all(const char *name) { return dlsym(RTLD_DEFAULT, name); }
NOINLINE void *again(const char *name) { return next(name); }
NOINLINE void *not_tail(const char *name) { void *p = dlsym(RTLD_NEXT, name); KEEP(); return p; }
NOINLINE void *self(void) { return dlopen(NULL, RTLD_NOW); }

/* Stands before libc's: RTLD_NEXT of the executable finds libc's, RTLD_DEFAULT this one. */
__attribute__((visibility("default"))) int atoi(const char *text)
{
	return (int)strtol(text, NULL, 10) + 1000;
}

int main(void)
{
	int (*theirs)(const char *) = (int (*)(const char *))next("atoi");
	int (*ours)(const char *) = (int (*)(const char *))all("atoi");

	CHECK(theirs && ours);
	printf("%d %d\n", theirs("5"), ours("5"));
	printf("%d %d\n", again("atoi") == (void *)theirs, not_tail("atoi") == (void *)theirs);
	printf("%d %d\n", self() != NULL, next("no such function") == NULL);
	return 0;
}
