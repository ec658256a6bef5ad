/* SPDX-License-Identifier: MIT */
/*
 * What people ask for with -A and -R:
 *
 *	FUNC[@VALUE[,VALUE]...][;FUNC...]
 *
 * FUNC is a glob or a /regular expression/; without a VALUE all that its prototype has. A VALUE is
 *
 *	argN[/FORMAT][%WHERE]		the Nth integer argument, from 1
 *	fpargN[/BITS][%WHERE]		the Nth floating point argument
 *	retval[/FORMAT]			what it returns; f: a floating point number
 *
 * FORMAT is one of i (or d), u, x, o, c, f with 8, 16, 32 or 64 bits behind it, s (text), S (std::string; libc++'s where
 * the function's prototype or symbol has one), p (address of a function), e:ENUM (names of an enumeration). WHERE is a
 * register, or stack+N: the Nth word behind the return address. Without a format a value is as its prototype says, or a number.
 */
#ifndef FTRACE_PROTOTYPE_SPEC_H
#define FTRACE_PROTOTYPE_SPEC_H

#include "prototype/prototype.h"

struct spec_value {
	enum { SPEC_ARG, SPEC_FPARG, SPEC_RETVAL } kind;
	unsigned number;		/* from 1 */
	char format;			/* 0: none is given */
	unsigned bits;			/* 0: none are given */
	const char *name;		/* e: of the enumeration */
	const char *where;		/* register, or "stack"; NULL: by the calling convention */
	unsigned word;			/* of the stack */
};

struct spec {
	const char *function;
	struct spec_value *values;
	size_t n;			/* 0: all of the prototype */
	struct spec *next;
};

/*
 * Understand @text, with room in @arena; specifications are added behind *@list. @returns: only return values may be
 * asked for. NULL; or what is wrong, in words.
 */
const char *spec_parse(struct proto_arena *arena, const char *text, bool returns, struct spec **list);

/*
 * The prototype that @spec asks for of the function called @symbol, with prototype @known (NULL: it is not known).
 * Enumerations are looked for in @dwarf, which may be NULL. NULL and *@why: it cannot be had, in words.
 */
struct proto *spec_proto(const struct spec *spec, const struct proto *known, const char *symbol,
			 const struct proto_abi *abi, struct proto_arena *arena, struct proto_dwarf *dwarf,
			 const char **why);

/* Does @spec ask for values at the call, at the return? */
bool spec_wants_call(const struct spec *spec);
bool spec_wants_return(const struct spec *spec);

#endif /* FTRACE_PROTOTYPE_SPEC_H */
