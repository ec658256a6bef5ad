/* SPDX-License-Identifier: MIT */
/* Arguments of USDT probes, for usdt_arg() and for who must not touch memory that may not be there. */
#ifndef FTRACE_ENGINE_USDT_H
#define FTRACE_ENGINE_USDT_H

#include "base.h"

struct pt_regs;

struct usdt_operand {
	unsigned long value;	/* the number; or its address */
	int size;		/* bytes, negative: signed */
	bool memory;		/* value is an address */
};

/*
 * Argument @n (from 0) of @args: its text and size. *@operand is NULL where the size is in a form that is not read.
 * False: it has not so many.
 */
FTRACE_INTERNAL bool ftrace_usdt_arg_text(const char *args, unsigned int n, const char **operand, size_t *len,
					  int *size);

/* -ENOENT, -EOPNOTSUPP as usdt_arg(). Reads no memory. */
FTRACE_INTERNAL int ftrace_usdt_operand(const char *args, unsigned int n, struct pt_regs *regs,
					struct usdt_operand *operand);

/* As many of the lowest bytes of @v as @size says, with its sign. */
FTRACE_INTERNAL u64 ftrace_usdt_extend(u64 v, int size);

struct usdt_probe;

/*
 * Objects came or went: what @u watches in those that are gone is forgotten, and places in the object at @path, which is
 * at @base (NULL: none), are watched from now on, once each. @u may be registered or not; it is where nsites is not 0. 0 or
 * -errno, logged.
 */
FTRACE_INTERNAL int ftrace_usdt_follow(struct usdt_probe *u, const char *path, unsigned long base);

#endif /* FTRACE_ENGINE_USDT_H */
