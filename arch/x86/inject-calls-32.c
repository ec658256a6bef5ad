/* SPDX-License-Identifier: MIT */
/* i386's system calls, for the command, which is built for x86_64. */
#include <asm/unistd_32.h>

#define INJECT_CALLS inject_calls_narrow
#include "inject-calls.h"
#include "inject-abi.h"
