/* SPDX-License-Identifier: MIT */
/*
 * Reading memory that may not be there, in the middle of the program's calls: never a fault, no signal
 * handler. What is certain to stay is read as it is: the thread's own stack, what is loaded with the program
 * for good. Everything else is read by the kernel, process_vm_readv() on ourselves; where that must
 * not be called (a seccomp filter), it counts as not there.
 */
#ifndef FTRACE_ENGINE_PEEK_H
#define FTRACE_ENGINE_PEEK_H

#include "base.h"

/* A part of the calling thread's stack that is there as long as the call is under way. */
struct ftrace_peek {
	unsigned long lo, hi;
};

/* Once, or again: what is loaded, and what the kernel allows. NULL; or why only some memory is read, in words. */
FTRACE_INTERNAL const char *ftrace_peek_init(void);

/* @sp: the stack pointer of a call of this thread that is under way. Async-signal-safe, as all that follows. */
FTRACE_INTERNAL void ftrace_peek_begin(struct ftrace_peek *peek, unsigned long sp);

/* @n bytes at @addr to @to. False: not all of them are there; @to is undefined. */
FTRACE_INTERNAL bool ftrace_peek_read(const struct ftrace_peek *peek, void *to, unsigned long addr,
				      size_t n);

/*
 * The string at @addr, at most @size - 1 letters of it and a NUL, to @to; its length with the NUL. -EFAULT: it is not
 * there up to its end (or its first @size - 1 letters).
 */
FTRACE_INTERNAL long ftrace_peek_string(const struct ftrace_peek *peek, char *to, unsigned long addr,
					size_t size);

/*
 * Is memory from @addr on such that it may be read as it is? How many bytes; 0: none. What stands there may change
 * at any time.
 */
FTRACE_INTERNAL size_t ftrace_peek_direct(const struct ftrace_peek *peek, unsigned long addr);

#endif /* FTRACE_ENGINE_PEEK_H */
