/* SPDX-License-Identifier: MIT */
/* Whether a thread of this process is where it waits. */
#ifndef TESTS_UNWIND_READS_H
#define TESTS_UNWIND_READS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

/* Is @tid in read()? */
__attribute__((unused)) static bool reads(int tid)
{
	char path[64], line[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = 0;
	fclose(f);
	return atoi(line) == SYS_read && line[0] >= '0' && line[0] <= '9';
}

#endif
