/* SPDX-License-Identifier: MIT */
/* For every test program: functions that stay functions, and checks that end the program. */
#ifndef T_H
#define T_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE	__attribute__((noinline))
#define UNTRACED	__attribute__((noinline, patchable_function_entry(0)))
#define KEEP()		__asm__ volatile("" ::: "memory")

#define CHECK(cond)								\
	do {									\
		if (!(cond)) {							\
			printf("%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #cond, errno);	\
			fflush(stdout);						\
			_exit(99);						\
		}								\
	} while (0)

#endif
