/* SPDX-License-Identifier: MIT */
/* Patterns for names of functions as people write them: globs and /regular expressions/. */
#ifndef CMD_PATTERNS_H
#define CMD_PATTERNS_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

struct pattern {
	char *text;		/* without '!' */
	bool away;
	bool parameters;	/* it is for names with their parameters, too */
	bool is_regex;
	regex_t regex;
};

/* A function's names: of its symbol; if that is mangled, as it is shown, and with parameters. */
struct pattern_names {
	char *name, *shown, *full;
};

/*
 * Length of the first of the patterns in @s: they are parted by spaces and commas, but not inside
 * brackets, nor behind "operator".
 */
size_t pattern_length(const char *s);

int pattern_init(struct pattern *p, const char *s, size_t len);	/* 0 or -ENOMEM */
void pattern_free(struct pattern *p);

bool pattern_matches(const struct pattern *p, const char *name);	/* false for NULL */
/* Does it match any of them? Those with parameters only if it is for such. */
bool pattern_matches_any(const struct pattern *p, const struct pattern_names *names);

/* Names of symbol @name, which need not end behind @len letters. -ENOMEM. */
int pattern_names_init(struct pattern_names *names, const char *name, size_t len);
void pattern_names_free(struct pattern_names *names);

#endif /* CMD_PATTERNS_H */
