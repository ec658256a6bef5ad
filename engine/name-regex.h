/* SPDX-License-Identifier: MIT */
/*
 * Regular expressions for function names: the extended syntax's literals, `.`, `[a-z]`, `[^a-z]`,
 * `^`, `$`, `(...)`, `|`, `*`, `+`, `?` and `\` before a character that is no letter or digit.
 * An expression matches anywhere in a name unless it is anchored.
 *
 * The time to match is bounded by the product of both lengths, whatever the expression.
 */
#ifndef FTRACE_ENGINE_NAME_REGEX_H
#define FTRACE_ENGINE_NAME_REGEX_H

#include "base.h"

struct regex;

/* -EINVAL: malformed; -E2BIG: too long; -ENOMEM. */
int regex_compile(struct regex **re, const char *text, size_t len);
bool regex_match(struct regex *re, const char *name);
void regex_free(struct regex *re);

#endif /* FTRACE_ENGINE_NAME_REGEX_H */
