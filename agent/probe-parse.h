/* SPDX-License-Identifier: MIT */
/* Between probe-parse.c and probe-fetch.c. */
#ifndef FTRACE_AGENT_PROBE_PARSE_H
#define FTRACE_AGENT_PROBE_PARSE_H

#include "agent/probe.h"

struct parse {
	struct probe_def *def;
	const char *text, *at, *end;
	struct probe_error *error;
	u32 depth;		/* of dereferences that are open */
};

/* Note what is wrong at @at; returns @err. */
int probe_fail(struct parse *p, const char *at, int err, const char *what);

/* A number at *@at, decimal or 0x...; *@at moves behind it. */
bool parse_number(const char **at, const char *end, u64 *value);
bool parse_all_number(const char *p, const char *end, u64 *value);

/* Is all of it a C identifier? */
bool parse_is_name(const char *p, const char *end);

/* The next word, parted from others by spaces; those in quotes do not count. False: none is left. */
bool parse_word(struct parse *p, const char **word, const char **word_end);

const char *parse_find(const char *p, const char *end, char c);

/* probe-fetch.c: "[NAME=]FETCH[:TYPE]". */
int parse_fetch_arg(struct parse *p, struct fetch_arg *arg, const char *at, const char *end);

#endif /* FTRACE_AGENT_PROBE_PARSE_H */
