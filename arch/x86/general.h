/* SPDX-License-Identifier: MIT */
#ifndef FTRACE_X86_GENERAL_H
#define FTRACE_X86_GENERAL_H

#include "decode.h"

/* Does the instruction leave vector, mask and x87 registers alone, and is where it leads seen from it? */
bool x86_is_general(const struct x86_insn *in, bool wide);

#endif /* FTRACE_X86_GENERAL_H */
