/* SPDX-License-Identifier: MIT */
/* ftrace list --usdt. */
#ifndef CMD_LIST_USDT_H
#define CMD_LIST_USDT_H

#include <stddef.h>

struct list_usdt {
	const char *library;	/* its name; NULL: the program */
	char **globs;		/* over PROVIDER:NAME; NULL at the end */
	int demangle;
	size_t probes, listed;	/* how many there are, and were printed */
};

/* Print the probes of the object at @path. 0, or as elf_open(); -ENOEXEC also of what is not linked. */
int list_usdt_print(struct list_usdt *l, const char *path);

#endif /* CMD_LIST_USDT_H */
