/* SPDX-License-Identifier: MIT */
/* Prototypes of the functions of one object, from its debug information or the table of the C library's. */
#ifndef CMD_PROTOTYPES_H
#define CMD_PROTOTYPES_H

#include "prototype/prototype.h"

struct cmd_prototypes {
	struct proto_arena arena;
	struct proto_dwarf *dwarf;	/* NULL: no debug information */
	const struct proto_abi *abi;	/* NULL: of a machine that is not known here */
	const char *why;		/* no debug information: why not, in words */
	bool is_libc;
};

/* Open what is known of the object at @path. 0 or -ENOEXEC. */
int cmd_prototypes_open(struct cmd_prototypes *p, const char *path);
void cmd_prototypes_close(struct cmd_prototypes *p);

struct symbols;

/* Fill in prototypes of @wanted, sorted by address. @symbols: of the object, for other names of functions. */
void cmd_prototypes_find(struct cmd_prototypes *p, struct symbols *symbols, struct proto_wanted *wanted, size_t n);

#endif /* CMD_PROTOTYPES_H */
