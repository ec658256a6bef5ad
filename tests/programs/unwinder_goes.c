/* SPDX-License-Identifier: MIT */
/*
 * LIBRARY: it is loaded for all to see, and with it an unwinder that the program did not begin with, which lists callers; then both
 * go, and come back, at other addresses. With -DLIBRARY that library.
 */
#include "t.h"

#ifdef LIBRARY
#include <unwind.h>

static UNTRACED _Unwind_Reason_Code count(struct _Unwind_Context *context, void *n)
{
	(void)context;
	++*(int *)n;
	return _URC_NO_REASON;
}

UNTRACED int callers(void)
{
	int n = 0;

	_Unwind_Backtrace(count, &n);
	return n;
}
#else
#include <dlfcn.h>
#include <sys/mman.h>

NOINLINE int again(int (*callers)(void), int times)
{
	int n = times ? again(callers, times - 1) : callers();

	KEEP();
	return n;
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	for (int i = 0; i < 3; i++) {
		void *library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
		int (*callers)(void) = library ? (int (*)(void))dlsym(library, "callers") : NULL;

		CHECK(callers);
		printf("%d\n", again(callers, 5));
		fflush(stdout);
		dlclose(library);
		/* Something else is where they were. */
		for (int k = 0; k < 20; k++)
			CHECK(mmap(NULL, 1 << 18, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	}
	return 0;
}
#endif
