/* SPDX-License-Identifier: MIT */
#ifndef FTRACE_ENGINE_ENTRY_ONLY_H
#define FTRACE_ENGINE_ENTRY_ONLY_H

#include "base.h"

/*
 * Is @name (@len bytes) the name of a function whose return must not be hooked: one that returns
 * twice, or that asks who called it by looking at its own return address?
 */
bool entry_only_name(const char *name, size_t len);

#endif /* FTRACE_ENGINE_ENTRY_ONLY_H */
