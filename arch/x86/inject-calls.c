/* SPDX-License-Identifier: MIT */
/* x86_64's system calls. */
#include <asm/unistd_64.h>

#define INJECT_CALLS inject_calls_wide
#include "inject-calls.h"
#include "inject-abi.h"
