/* SPDX-License-Identifier: MIT */
/* Between dwarf.c, which finds functions, and dwarf-types.c, which reads their types. */
#ifndef FTRACE_PROTOTYPE_DWARF_INTERNAL_H
#define FTRACE_PROTOTYPE_DWARF_INTERNAL_H

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>

#include "prototype/prototype.h"

struct proto_dwarf {
	Dwfl *dwfl;
	Dwarf *dw;
	Dwarf_Addr bias;	/* to add to an address in it for the one in the object's file */
	const struct proto_abi *abi;
	struct proto_arena *arena;	/* of the answers */
	void *types;		/* tree of types that were read, by where their entry is */
};

/* The type that attribute DW_AT_type of @die (or of what it is an instance of) names; NULL: void. */
const struct proto_type *dwarf_type_of(struct proto_dwarf *d, Dwarf_Die *die);
const struct proto_type *dwarf_type(struct proto_dwarf *d, Dwarf_Die *type);

/* The string of @attr, NULL. */
const char *dwarf_text(Dwarf_Die *die, unsigned attr);
/* The number of @attr, or @missing. */
uint64_t dwarf_number(Dwarf_Die *die, unsigned attr, uint64_t missing);
bool dwarf_is_set(Dwarf_Die *die, unsigned attr);

void dwarf_types_free(struct proto_dwarf *d);

#endif /* FTRACE_PROTOTYPE_DWARF_INTERNAL_H */
