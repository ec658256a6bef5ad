/* SPDX-License-Identifier: MIT */
/* Built without libdw: no debug information is read. */
#include "prototype/prototype.h"

struct proto_dwarf *proto_dwarf_open(const char *path, const char **why)
{
	*why = "this ftrace was built without libdw";
	return NULL;
}

void proto_dwarf_close(struct proto_dwarf *d)
{
}

void proto_dwarf_find(struct proto_dwarf *d, struct proto_arena *arena, struct proto_wanted *wanted, size_t n)
{
}

const struct proto_type *proto_dwarf_enum(struct proto_dwarf *d, struct proto_arena *arena, const char *name)
{
	return NULL;
}
