/* SPDX-License-Identifier: MIT */
#ifndef TESTS_KPROBES_CROSSING_H
#define TESTS_KPROBES_CROSSING_H

extern int destroyed;

struct Counted {
	int value;
	explicit Counted(int v) : value(v) {}
	~Counted() { destroyed++; }
};

#define DECLARE(prefix) \
	int prefix##_simple(int (*down)(int), int a); \
	int prefix##_cleans(int (*down)(int), int a); \
	int prefix##_catches(int (*down)(int), int a); \
	int prefix##_tail(int (*down)(int), int a)

extern "C" {
DECLARE(across);		/* not compiled for tracing */
DECLARE(traced);		/* compiled for tracing */
}

#endif
