/* SPDX-License-Identifier: MIT */
/* What the files of inject.c share. */
#ifndef FTRACE_X86_INJECT_ABI_H
#define FTRACE_X86_INJECT_ABI_H

#include "inject.h"

extern const struct inject_calls inject_calls_wide, inject_calls_narrow;

#endif /* FTRACE_X86_INJECT_ABI_H */
