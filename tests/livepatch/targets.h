/* SPDX-License-Identifier: MIT */
#ifndef TESTS_LIVEPATCH_TARGETS_H
#define TESTS_LIVEPATCH_TARGETS_H

long target_add(long a, long b);
long target_twice(long a);
long target_eight(long a, long b, long c, long d, long e, long f, long g, long h);

int target_version(void);
int target_version2(void);	/* a new one of the former, compiled for tracing */
int target_other(void);
int target_pid(void);
int target_pid2(void);
int target_wait(int fd);
int target_call(void (*func)(void));
int target_twin(void);
int target_twin2(void);

#endif
