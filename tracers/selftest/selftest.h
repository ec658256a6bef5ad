/* SPDX-License-Identifier: MIT */
/*
 * The self test: does tracing work on this machine? What the kernel's trace_selftest asserts, and what
 * user space adds. Each test runs in a process of its own, so a crash is one failure.
 */
#ifndef FTRACE_SELFTEST_H
#define FTRACE_SELFTEST_H

#include <stdbool.h>

#include <ftrace/fgraph.h>

struct selftest {
	const char *name;	/* "Testing NAME: PASSED" */
	void (*run)(void);
	int timeout_s;
};

/* One array a file, ended by a row without a name. */
extern const struct selftest selftest_dynamic[], selftest_registers[], selftest_graph[],
	selftest_control[], selftest_stress[];

/* Thorough stress: how many times everything is turned on and off. */
extern unsigned long selftest_rounds;

/* ---- what a test says; any of these makes it fail, or be skipped ---- */

void selftest_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the test. Give the reason. */
void selftest_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Ends the test: nothing behind this point would make sense. */
void selftest_give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Fails unless @got is @want. Returns whether it is. */
bool expect(const char *what, long got, long want);
bool expect_hex(const char *what, unsigned long got, unsigned long want);

/* Ends the test unless @err is 0, which @what returned. */
void need(const char *what, int err);

/* @err, from @what, is to be @want; and a line was logged that says why. */
void expect_error(const char *what, int err, int want);

/* ---- probes: ops that count ---- */

struct probe {
	struct ftrace_ops ops;
	long count;
	unsigned long ip, parent;	/* of the last call */
	bool had_regs;
	struct pt_regs regs;
	unsigned long sp, return_address;	/* as found by those */
	/* Called with the registers of the call, when there is one. */
	void (*then)(struct probe *p, struct pt_regs *regs);
};

/* Set @p up for functions @filter (NULL: all). */
void probe_init(struct probe *p, const char *filter, unsigned long flags);
void probe_start(struct probe *p);
void probe_stop(struct probe *p);	/* and forget its filter */
long probe_count(const struct probe *p);

/* The ip callbacks are told for the function @entry. */
unsigned long site_of(const void *entry);

/* Add patterns; the test ends if that fails. */
void choose(struct ftrace_ops *ops, const char *patterns, int reset);

#endif /* FTRACE_SELFTEST_H */
