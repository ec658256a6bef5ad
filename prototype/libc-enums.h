/* SPDX-License-Identifier: MIT */
#ifndef FTRACE_PROTOTYPE_LIBC_ENUMS_H
#define FTRACE_PROTOTYPE_LIBC_ENUMS_H

#include "prototype/prototype.h"

extern struct proto_enum proto_libc_enums[];
extern const size_t proto_libc_nenums;

/* The bits of open()'s flags that make it take a mode. */
extern const uint64_t proto_libc_creates;

#endif /* FTRACE_PROTOTYPE_LIBC_ENUMS_H */
