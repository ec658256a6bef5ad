/* SPDX-License-Identifier: MIT */
#ifndef FTRACE_ENGINE_DATA_SYMBOL_H
#define FTRACE_ENGINE_DATA_SYMBOL_H

#include "base.h"

/*
 * The address of the symbol @name (@len letters) in the first loaded object that has it, by its symbol tables; not of
 * thread-local variables. 0: there is none. Opens files.
 */
FTRACE_INTERNAL unsigned long ftrace_symbol_address(const char *name, size_t len);

/* Does the object at @path define the symbol @name of @len letters? */
FTRACE_INTERNAL bool ftrace_symbol_in(const char *path, const char *name, size_t len);

#endif /* FTRACE_ENGINE_DATA_SYMBOL_H */
