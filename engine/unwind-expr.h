/* SPDX-License-Identifier: MIT */
/* DWARF expressions, as far as call frame information uses them. */
#ifndef FTRACE_ENGINE_UNWIND_EXPR_H
#define FTRACE_ENGINE_UNWIND_EXPR_H

#include "unwind-stack.h"

/* Read a word of memory for @w. False: there is none. */
bool unwind_read(const struct unwind_walk *w, unsigned long addr, unsigned long *value);

/*
 * The value of the expression [@p, @end) in the frame @w; @initial, where not NULL, is what lies on
 * its stack at first. False: it cannot be had.
 */
bool unwind_expression(const struct unwind_walk *w, const u8 *p, const u8 *end,
		       const unsigned long *initial, unsigned long *value);

#endif /* FTRACE_ENGINE_UNWIND_EXPR_H */
