/* SPDX-License-Identifier: MIT */
/* What only C++ and Rust have: classes that are passed by address, strings. */
#ifndef FTRACE_PROTOTYPE_DWARF_CLASS_H
#define FTRACE_PROTOTYPE_DWARF_CLASS_H

#include "prototype/dwarf-internal.h"

/* Is @die of a language that names structures without "struct"? */
bool dwarf_class_language(Dwarf_Die *die);

/*
 * clang describes no std::string where its library does, or nothing makes one: only its name is there. Is it one? Then
 * @t is made one of libstdc++ or libc++.
 */
bool dwarf_class_declared_string(struct proto_dwarf *d, Dwarf_Die *die, const char *name,
				 struct proto_type *t);

/* @t's members are known: is it passed by address, is it a string? */
void dwarf_class_judge(struct proto_dwarf *d, Dwarf_Die *die, const char *name, struct proto_type *t);

#endif /* FTRACE_PROTOTYPE_DWARF_CLASS_H */
