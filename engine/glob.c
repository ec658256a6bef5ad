/* SPDX-License-Identifier: MIT */
/* The kernel's glob. */
#include "find.h"

/*
 * Match @c against the set at @p, just behind its `[`. Returns what is behind the `]`, NULL if
 * there is no `]` (then `[` means itself). A `]` that comes first is a member.
 */
static const char *match_set(const char *p, const char *end, unsigned char c, bool *match)
{
	bool invert = p < end && *p == '!', found = false;
	const char *first;

	if (invert)
		p++;
	for (first = p; p < end && (*p != ']' || p == first); p++) {
		unsigned char lo = (unsigned char)*p, hi = lo;

		if (end - p > 2 && p[1] == '-' && p[2] != ']') {
			hi = (unsigned char)p[2];
			p += 2;
		}
		found |= lo <= c && c <= hi;
	}
	if (p >= end)
		return NULL;
	*match = found != invert;
	return p + 1;
}

bool ftrace_glob(const char *pattern, size_t len, const char *name)
{
	const char *p = pattern, *end = pattern + len;
	const char *star = NULL, *retry = NULL;	/* behind the last `*`, and what it may eat next */

	for (;;) {
		const char *next = p + 1;
		bool match;

		if (p < end && *p == '*') {
			star = ++p;
			retry = name;
			continue;
		}
		if (!*name && p == end)
			return true;
		if (!*name)
			return false;
		if (p == end) {
			match = false;
		} else if (*p == '?') {
			match = true;
		} else if (*p == '[') {
			next = match_set(p + 1, end, (unsigned char)*name, &match);
			if (!next) {
				next = p + 1;
				match = *name == '[';
			}
		} else if (*p == '\\' && p + 1 < end) {
			match = p[1] == *name;
			next = p + 2;
		} else {
			match = *p == *name;
		}
		if (match) {
			p = next;
			name++;
		} else if (star) {
			p = star;
			name = ++retry;
		} else {
			return false;
		}
	}
}
