/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/patterns.h"
#include "reader/demangle.h"
#include "reader/filter.h"

size_t pattern_length(const char *s)
{
	bool regex = *s == '/';
	int depth = 0;
	size_t i;

	for (i = 0; s[i]; i++) {
		bool after_operator = i >= 8 && !strncmp(s + i - 8, "operator", 8);

		if (regex ? isspace((unsigned char)s[i]) || s[i] == ',' :
		    strchr(" ,\t", s[i]) && !depth && !after_operator)
			break;
		if (after_operator && strchr("<>(", s[i]))
			continue;
		depth += s[i] == '<' || s[i] == '(';
		depth -= (s[i] == '>' || s[i] == ')') && depth > 0;
	}
	return i;
}

int pattern_init(struct pattern *p, const char *s, size_t len)
{
	char *text;

	memset(p, 0, sizeof(*p));
	p->away = *s == '!';
	s += p->away;
	len -= p->away;
	p->text = strndup(s, len);
	if (!p->text)
		return -ENOMEM;
	p->parameters = trace_filter_has_parameters(p->text);
	if (len < 3 || s[0] != '/' || s[len - 1] != '/')
		return 0;
	text = strndup(s + 1, len - 2);
	p->is_regex = text && !regcomp(&p->regex, text, REG_EXTENDED | REG_NOSUB);
	free(text);
	return 0;
}

void pattern_free(struct pattern *p)
{
	free(p->text);
	if (p->is_regex)
		regfree(&p->regex);
}

bool pattern_matches(const struct pattern *p, const char *name)
{
	if (!name)
		return false;
	return p->is_regex ? !regexec(&p->regex, name, 0, NULL, 0) : !fnmatch(p->text, name, 0);
}

bool pattern_matches_any(const struct pattern *p, const struct pattern_names *names)
{
	return pattern_matches(p, names->name) || pattern_matches(p, names->shown) ||
	       (p->parameters && pattern_matches(p, names->full));
}

int pattern_names_init(struct pattern_names *names, const char *name, size_t len)
{
	*names = (struct pattern_names){ strndup(name, len), NULL, NULL };
	if (names->name && names->name[0] == '_' && (names->name[1] == 'Z' || names->name[1] == 'R')) {
		names->shown = trace_demangle(names->name, 0);
		names->full = trace_demangle_full(names->name);
	}
	return names->name ? 0 : -ENOMEM;
}

void pattern_names_free(struct pattern_names *names)
{
	free(names->name);
	free(names->shown);
	free(names->full);
}
