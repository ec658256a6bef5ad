/* SPDX-License-Identifier: MIT */
#ifndef TRACE_DEMANGLE_H
#define TRACE_DEMANGLE_H

/*
 * A symbol's name for people: C++ and Rust (legacy and v0) demangled, without parameters, control
 * characters replaced by '?' so that no symbol table can steer the terminal. @raw: not demangled.
 * Returns malloc'ed memory, NULL if there is none.
 */
char *trace_demangle(const char *name, int raw);

/* The same with parameters, "ns::f(int, char)". NULL: @name is not a mangled one, or no memory. */
char *trace_demangle_full(const char *name);

#endif /* TRACE_DEMANGLE_H */
