/* SPDX-License-Identifier: MIT */
/* ftrace list --args. */
#ifndef CMD_LIST_ARGS_H
#define CMD_LIST_ARGS_H

#include <stddef.h>
#include <stdint.h>

/* Functions of one object that are to be listed. */
struct list_args {
	struct list_args_function {
		char *name;
		uint64_t vaddr;
	} *list;
	size_t n, capacity;
};

void list_args_add(struct list_args *l, const char *name, uint64_t vaddr);

/*
 * Print their prototypes, and with @events what is recorded of them, and forget them. @library: its name, NULL: the
 * program.
 */
void list_args_print(struct list_args *l, const char *path, const char *library, int events);

#endif /* CMD_LIST_ARGS_H */
