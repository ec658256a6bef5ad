/* SPDX-License-Identifier: MIT */
/* What is probed. targets.c is compiled for tracing, plain.c is not. */
#ifndef TESTS_KPROBES_TARGETS_H
#define TESTS_KPROBES_TARGETS_H

#ifdef __cplusplus
extern "C" {
#endif

int target_add(int a, int b);
int target_twice(int a);		/* calls target_add */
int target_other(int a);
double target_half(double x);
int target_recurse(int n);		/* calls itself n times, returns n */
void target_jump(void *env);		/* longjmp()s out */
int target_call(int (*func)(int), int a);

int plain_add(int a, int b);
unsigned long plain_leaf(unsigned long seed);
unsigned long plain_mix(unsigned long seed, const char *text);
int plain_switch(int a);
int plain_recurse(int n, int (*down)(int, int));
unsigned long plain_corpus(unsigned long seed);		/* calls all of them */

#ifdef __cplusplus
}
#endif
#endif
