/* SPDX-License-Identifier: MIT */
/*
 * Writing to memory that is executable and never writable: the text of the program, stubs.
 */
#ifndef FTRACE_ENGINE_TEXT_H
#define FTRACE_ENGINE_TEXT_H

#include "base.h"

struct dyn_ftrace;

/* A way to write text, open for a batch of writes. */
struct ftrace_text {
	int mem;		/* /proc/self/mem, or -errno why not */
	size_t max;		/* bytes to be written at once */
};

/* Never fails: what cannot be opened is made up for by another way, or fails at the write. */
void ftrace_text_open(struct ftrace_text *text);
void ftrace_text_close(struct ftrace_text *text);

/*
 * Write @len bytes at @addr. Through /proc/self/mem where that works; otherwise each page is replaced
 * in one step by a changed copy of it. Checked by reading back. 0 or -errno.
 */
int ftrace_text_write(struct ftrace_text *text, unsigned long addr, const void *bytes, size_t len);

/*
 * Switch the @n sites of @sites (sorted by address) on or off, by @site->flags' FTRACE_SITE_ON as it
 * is to be: one write a page, then every processor is made to see it. 0 or the first -errno; sites
 * that could not be switched have FTRACE_SITE_ON back as it was.
 */
int ftrace_text_toggle(struct dyn_ftrace **sites, u32 n);

#endif /* FTRACE_ENGINE_TEXT_H */
