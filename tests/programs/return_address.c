/* SPDX-License-Identifier: MIT */
/* __builtin_return_address(0) is an address in the caller, as dladdr tells it too. */
#include "t.h"
#include <dlfcn.h>

static NOINLINE void *who(void) { void *p = __builtin_return_address(0); KEEP(); return p; }
__attribute__((visibility("default"))) NOINLINE void *caller_one(void);
__attribute__((visibility("default"))) NOINLINE void *caller_two(void);
void *caller_one(void) { void *p = who(); KEEP(); return p; }
void *caller_two(void) { void *p = who(); KEEP(); return p; }
NOINLINE void *frame(void) { void *p = __builtin_frame_address(0); KEEP(); return p; }

static UNTRACED const char *name_of(void *address)
{
	Dl_info info;

	return dladdr(address, &info) && info.dli_sname ? info.dli_sname : "?";
}

int main(void)
{
	char here;

	printf("%s %s\n", name_of(caller_one()), name_of(caller_two()));
	printf("%d\n", (char *)frame() < &here + 4096 && (char *)frame() > &here - 4096);
	return 0;
}
