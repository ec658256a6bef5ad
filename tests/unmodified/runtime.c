/* SPDX-License-Identifier: MIT */
/* A program that looks like one with a runtime: -DJVM its own functions only, -DOCAML all. */
#include <stdio.h>

#ifdef JVM
int JNI_CreateJavaVM(void);
__attribute__((noinline)) int JNI_CreateJavaVM(void)
#else
int caml_frametable[4] = { 1 };
static __attribute__((noinline)) int work(void)
#endif
{
	return __builtin_return_address(0) != NULL;
}

/* Tells whether its return address is inside the program, where no stub is. */
extern char __executable_start, etext;
__attribute__((noinline)) static int called_by_program(void)
{
	char *volatile *frame = __builtin_frame_address(0);
	char *volatile ret = frame[1];

	return ret >= &__executable_start && ret < &etext;
}

int main(void)
{
#ifdef JVM
	int one = JNI_CreateJavaVM();
#else
	int one = work() * caml_frametable[0];
#endif
	printf("%d %s\n", one, called_by_program() ? "own return address" : "another's");
	return 0;
}
