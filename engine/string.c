/* SPDX-License-Identifier: MIT */
/* Memory and string functions, under our own names (see base.h). */
#include "base.h"

/* A word that may stand at any address and overlay any type. */
typedef unsigned long __attribute__((may_alias, aligned(1))) word_t;

#define WORD sizeof(word_t)

void *ft_memcpy(void *dst, const void *src, size_t n)
{
	char *d = dst;
	const char *s = src;

	for (; n >= WORD; n -= WORD, d += WORD, s += WORD)
		*(word_t *)d = *(const word_t *)s;
	while (n--)
		*d++ = *s++;
	return dst;
}

void *ft_memmove(void *dst, const void *src, size_t n)
{
	char *d = dst;
	const char *s = src;

	if (d <= s || d >= s + n)
		return ft_memcpy(dst, src, n);	/* copies upwards: right for d < s as well */
	for (; n >= WORD; n -= WORD)
		*(word_t *)(d + n - WORD) = *(const word_t *)(s + n - WORD);
	while (n--)
		d[n] = s[n];
	return dst;
}

void *ft_memset(void *dst, int c, size_t n)
{
	unsigned long pattern = (unsigned char)c * (~0ul / 255);
	char *d = dst;

	for (; n >= WORD; n -= WORD, d += WORD)
		*(word_t *)d = pattern;
	while (n--)
		*d++ = (char)c;
	return dst;
}

int ft_memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (; n >= WORD && *(const word_t *)x == *(const word_t *)y; n -= WORD)
		x += WORD, y += WORD;
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t ft_strlen(const char *s)
{
	const char *p = s;

	while (*p)
		p++;
	return (size_t)(p - s);
}

int ft_strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (unsigned char)*a - (unsigned char)*b;
}

int ft_strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++)
		if (*a != *b || !*a)
			return (unsigned char)*a - (unsigned char)*b;
	return 0;
}

char *ft_strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

char *ft_strrchr(const char *s, int c)
{
	const char *last = NULL;

	for (;; s++) {
		if (*s == (char)c)
			last = s;
		if (!*s)
			return (char *)last;
	}
}

const char *ft_base_name(const char *path)
{
	const char *slash = ft_strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool ft_starts_with(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return false;
	return true;
}

static bool is_separator(char c)
{
	return c == ' ' || c == ',' || c == '\n' || c == '\t' || !c;
}

size_t ft_next_word(const char **word, const char **at, const char *end)
{
	const char *p = *at;

	while (p < end && is_separator(*p))
		p++;
	for (*word = p; p < end && !is_separator(*p); p++)
		;
	*at = p;
	return (size_t)(p - *word);
}
