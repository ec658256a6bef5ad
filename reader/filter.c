/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fnmatch.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/demangle.h"
#include "reader/filter.h"

struct trace_pattern {
	char *glob;		/* NULL: a regular expression */
	int parameters;
	regex_t regex;
};

int trace_filter_has_parameters(const char *pattern)
{
	/* In an expression a bare one is a group. */
	return strstr(pattern, pattern[0] == '/' ? "\\(" : "(") != NULL;
}

int trace_filter_add(struct trace_filter *filter, enum trace_filter_kind kind, const char *pattern,
		     char *why, size_t size)
{
	struct trace_pattern *list, *new;
	size_t len;
	char *text;
	int err;

	if (pattern[0] == '!' && kind != TRACE_FILTER_GRAPH) {
		kind = kind == TRACE_FILTER_ONLY ? TRACE_FILTER_NOT : TRACE_FILTER_ONLY;
		pattern++;
	}
	len = strlen(pattern);
	if (!len) {
		snprintf(why, size, "the pattern is empty");
		return -EINVAL;
	}
	list = reallocarray(filter->patterns[kind], filter->npatterns[kind] + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	filter->patterns[kind] = list;
	new = &list[filter->npatterns[kind]];
	memset(new, 0, sizeof(*new));
	new->parameters = trace_filter_has_parameters(pattern);
	if (len < 3 || pattern[0] != '/' || pattern[len - 1] != '/') {
		new->glob = strdup(pattern);
		if (!new->glob)
			return -ENOMEM;
	} else {
		text = strndup(pattern + 1, len - 2);
		if (!text)
			return -ENOMEM;
		err = regcomp(&new->regex, text, REG_EXTENDED | REG_NOSUB);
		free(text);
		if (err) {
			regerror(err, &new->regex, why, size);
			return -EINVAL;
		}
	}
	filter->npatterns[kind]++;
	return 0;
}

void trace_filter_free(struct trace_filter *filter)
{
	for (int kind = 0; kind < TRACE_FILTER_KINDS; kind++) {
		for (size_t i = 0; i < filter->npatterns[kind]; i++) {
			if (filter->patterns[kind][i].glob)
				free(filter->patterns[kind][i].glob);
			else
				regfree(&filter->patterns[kind][i].regex);
		}
		free(filter->patterns[kind]);
	}
	memset(filter, 0, sizeof(*filter));
}

int trace_filter_is_empty(const struct trace_filter *filter)
{
	for (int kind = 0; kind < TRACE_FILTER_KINDS; kind++)
		if (filter->npatterns[kind])
			return 0;
	return !filter->depth && !filter->threshold;
}

static int matches(const struct trace_pattern *p, const char *name)
{
	return p->glob ? !fnmatch(p->glob, name, 0) : !regexec(&p->regex, name, 0, NULL, 0);
}

/* With its parameters, for a pattern that has some. */
static int matches_full(const struct trace_pattern *p, const char *name)
{
	char *full = p->parameters ? trace_demangle_full(name) : NULL;
	int yes = full && matches(p, full);

	free(full);
	return yes;
}

int trace_filter_match(const struct trace_filter *filter, enum trace_filter_kind kind,
		       const char *name, const char *shown)
{
	for (size_t i = 0; i < filter->npatterns[kind]; i++) {
		const struct trace_pattern *p = &filter->patterns[kind][i];

		if (matches(p, name) || matches(p, shown) || matches_full(p, name))
			return 1;
	}
	return 0;
}

int trace_verdicts_init(struct trace_verdicts *v, const struct trace_filter *filter,
			const struct trace_map *map)
{
	v->filter = filter;
	v->map = map;
	v->size = trace_map_end(map);
	v->flags = calloc(v->size, 1);
	return v->flags ? 0 : -ENOMEM;
}

void trace_verdicts_free(struct trace_verdicts *v)
{
	free(v->flags);
	memset(v, 0, sizeof(*v));
}

unsigned trace_verdict_slow(struct trace_verdicts *v, uint32_t id)
{
	const struct trace_filter *filter = v->filter;
	const struct trace_site *site = trace_map_site(v->map, id);
	const char *name = site ? site->name : trace_map_name(v->map, id, 0);
	char *demangled = site ? trace_demangle(name, 0) : NULL;
	const char *shown = demangled ? demangled : name;
	unsigned flags = TRACE_KNOWN;

	if (filter->npatterns[TRACE_FILTER_ONLY] &&
	    !trace_filter_match(filter, TRACE_FILTER_ONLY, name, shown))
		flags |= TRACE_HIDDEN;
	if (trace_filter_match(filter, TRACE_FILTER_NOT, name, shown))
		flags |= TRACE_HIDDEN;
	if (trace_filter_match(filter, TRACE_FILTER_GRAPH, name, shown))
		flags |= TRACE_GRAPH;
	free(demangled);
	if (id < v->size)
		v->flags[id] = flags;
	return flags;
}
