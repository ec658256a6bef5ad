/* SPDX-License-Identifier: MIT */
/* Option values: numbers with units, lists, ranges of time. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/options.h"

static const struct unit {
	const char *name;
	uint64_t factor;
} durations[] = {
	{ "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 },
	{ "m", 60000000000 }, { "h", 3600000000000 }, { NULL, 0 },
}, sizes[] = {
	{ "", 1 }, { "B", 1 },
	{ "K", 1ull << 10 }, { "KB", 1ull << 10 }, { "KiB", 1ull << 10 },
	{ "M", 1ull << 20 }, { "MB", 1ull << 20 }, { "MiB", 1ull << 20 },
	{ "G", 1ull << 30 }, { "GB", 1ull << 30 }, { "GiB", 1ull << 30 },
	{ "T", 1ull << 40 }, { "TB", 1ull << 40 }, { "TiB", 1ull << 40 }, { NULL, 0 },
};

static uint64_t factor_of(const struct unit *units, const char *name, int any_case)
{
	for (; units->name; units++)
		if (any_case ? !strcasecmp(units->name, name) : !strcmp(units->name, name))
			return units->factor;
	return 0;
}

/*
 * Digits, perhaps a point and more digits, times @factor, exactly: no floating point. @end gets what
 * follows the number. -1: no number, or one that does not fit.
 */
static int decimal(const char *text, const char **end, uint64_t *whole, uint64_t *fraction,
		   unsigned *digits)
{
	const char *p = text;
	int any = 0;

	*whole = *fraction = 0;
	*digits = 0;
	for (; isdigit((unsigned char)*p); p++, any = 1)
		if (__builtin_mul_overflow(*whole, 10, whole) ||
		    __builtin_add_overflow(*whole, (uint64_t)(*p - '0'), whole))
			return -1;
	if (*p == '.') {
		for (p++; isdigit((unsigned char)*p); p++, any = 1) {
			if (*digits >= 15)
				continue;
			*fraction = *fraction * 10 + (*p - '0');
			++*digits;
		}
	}
	*end = p;
	return any ? 0 : -1;
}

static int scale(uint64_t whole, uint64_t fraction, unsigned digits, uint64_t factor, uint64_t *out)
{
	unsigned __int128 value = (unsigned __int128)fraction * factor;

	while (digits--)
		value /= 10;
	value += (unsigned __int128)whole * factor;
	if (value > UINT64_MAX)
		return -1;
	*out = value;
	return 0;
}

int cmd_parse_duration(const char *text, uint64_t *ns)
{
	uint64_t whole, fraction, factor;
	unsigned digits;

	if (decimal(text, &text, &whole, &fraction, &digits))
		return -1;
	factor = *text ? factor_of(durations, text, 0) : 1;
	if (!factor)
		return -1;
	return scale(whole, fraction, digits, factor, ns);
}

int cmd_parse_size(const char *text, uint64_t *bytes)
{
	uint64_t whole, fraction, factor;
	unsigned digits;

	if (decimal(text, &text, &whole, &fraction, &digits))
		return -1;
	factor = factor_of(sizes, text, 1);
	if (!factor)
		return -1;
	return scale(whole, fraction, digits, factor, bytes);
}

int cmd_parse_number(const char *text, uint64_t *number)
{
	uint64_t fraction;
	unsigned digits;

	if (!isdigit((unsigned char)*text) || decimal(text, &text, number, &fraction, &digits))
		return -1;
	return *text || digits ? -1 : 0;
}

int cmd_parse_list(const char *text, uint32_t **list, size_t *count)
{
	do {
		unsigned long long value;
		uint32_t *bigger;
		char *end;

		if (!isdigit((unsigned char)*text))
			return -1;
		value = strtoull(text, &end, 10);
		if (value > UINT32_MAX || (*end && *end != ','))
			return -1;
		bigger = reallocarray(*list, *count + 1, sizeof(**list));
		if (!bigger)
			return -1;
		*list = bigger;
		bigger[(*count)++] = value;
		text = *end ? end + 1 : NULL;
	} while (text);
	return 0;
}

static int parse_end(const char *text, size_t len, struct cmd_range *range, int i)
{
	uint64_t whole, fraction;
	unsigned digits;
	const char *end;
	char buf[64];

	if (!len)
		return 0;
	if (len >= sizeof(buf))
		return -1;
	memcpy(buf, text, len);
	buf[len] = 0;
	range->given[i] = 1;
	if (decimal(buf, &end, &whole, &fraction, &digits))
		return -1;
	if (*end)
		return cmd_parse_duration(buf, &range->ns[i]);
	range->absolute[i] = 1;
	return scale(whole, fraction, digits, 1000000000, &range->ns[i]);
}

int cmd_parse_range(const char *text, struct cmd_range *range)
{
	const char *tilde = strchr(text, '~');

	memset(range, 0, sizeof(*range));
	if (!tilde || strchr(tilde + 1, '~'))
		return -1;
	if (parse_end(text, tilde - text, range, 0) ||
	    parse_end(tilde + 1, strlen(tilde + 1), range, 1))
		return -1;
	return range->given[0] || range->given[1] ? 0 : -1;
}
