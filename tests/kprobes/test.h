/* SPDX-License-Identifier: MIT */
#ifndef TESTS_KPROBES_TEST_H
#define TESTS_KPROBES_TEST_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <ftrace/ftrace.h>
#include <ftrace/kprobes.h>

#include "targets.h"
#include "../unwind/said.h"
#include "../unwind/tap.h"

/* The first argument, at a function's entry. */
#if defined(__x86_64__)
#define ARG0(regs)	((regs)->rdi)
#elif defined(__i386__)
#define ARG0(regs)	((&(regs)->esp)[1])
#else
#define ARG0(regs)	((regs)->gprs[2])
#endif

#endif
