/* SPDX-License-Identifier: MIT */
/*
 * Where the stubs come from that these tests unwind through; one of
 *
 *	stubs.c		real ones (arch_stub_write) without an engine; handlers.S only moves the
 *			return address
 *	library.c	the library, with empty callbacks
 *	recorder.c	the program is run by `ftrace record`
 */
#ifndef TESTS_UNWIND_STUBS_H
#define TESTS_UNWIND_STUBS_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UNTRACED	__attribute__((noinline))
#define TRACED		__attribute__((noinline, patchable_function_entry(5)))

/* Make stubs for all TRACED functions and switch them on. Exits the program on failure. */
void stubs_start(void);

/* The offset in its stub of @pc, -1: in no stub. By what dl_iterate_phdr() shows (regions.c). */
int stub_offset(unsigned long pc);
int trampoline_offset(unsigned long pc);	/* the same for the trampolines of functions that have their own */
void stubs_look(void);		/* look for regions: stubs_start() does */

/* How many traced calls were entered and have returned so far; recorder.c does not count. */
extern long stubs_entered, stubs_returned;
extern const bool stubs_counted;
extern bool stubs_hook;			/* returns are hooked: callers' stubs are on the stack */
extern bool stubs_own;			/* functions have trampolines of their own */
extern bool stubs_replaced;		/* leaf() is being replaced, and nothing else has a stub */

/* An instruction is about to be executed, at these offsets in its stub or trampoline. Only if it is there. */
void stubs_stepped(int stub, int trampoline) __attribute__((weak));

#ifdef __cplusplus
}
#endif

#endif
