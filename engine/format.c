/* SPDX-License-Identifier: MIT */
/*
 * ft_snprintf(): the part of printf() that log lines and text files need.
 *
 *	%[-0][WIDTH|*][.PRECISION|.*][l|ll|z](s|c|d|i|u|x|X|p|%)
 *
 * Anything else is written as it stands.
 */
#include "base.h"

struct out {
	char *buf;
	size_t size;
	size_t len;		/* of the whole text, even where it did not fit */
};

struct spec {
	int width;
	int precision;		/* -1: none */
	int longs;		/* how many l; z counts as one */
	bool left, zero;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_padded(struct out *o, const struct spec *s, const char *text, size_t len)
{
	size_t pad = s->width > 0 && (size_t)s->width > len ? (size_t)s->width - len : 0;

	if (!s->left)
		for (; pad; pad--)
			put(o, ' ');
	while (len--)
		put(o, *text++);
	for (; pad; pad--)
		put(o, ' ');
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
	size_t len = 0;

	if (!text)
		text = "(null)";
	while ((s->precision < 0 || len < (size_t)s->precision) && text[len])
		len++;
	put_padded(o, s, text, len);
}

static void put_number(struct out *o, const struct spec *s, u64 value, const char *sign,
		       unsigned int base, const char *digits)
{
	char text[32];		/* 20 digits of a u64 and a prefix of at most two */
	char *p = text + sizeof(text);
	size_t ndigits, nsign = ft_strlen(sign);

	do {
		/* Short values need no 64-bit division, which 32-bit machines lack. */
		if (value <= ~0u) {
			*--p = digits[(u32)value % base];
			value = (u32)value / base;
		} else {
			*--p = digits[value % base];
			value /= base;
		}
	} while (value);
	ndigits = (size_t)(text + sizeof(text) - p);

	if (s->zero && !s->left && s->width > 0 && (size_t)s->width > ndigits + nsign) {
		size_t zeros = (size_t)s->width - ndigits - nsign;

		while (*sign)
			put(o, *sign++);
		while (zeros--)
			put(o, '0');
		while (ndigits--)
			put(o, *p++);
		return;
	}
	p -= nsign;
	ft_memcpy(p, sign, nsign);
	put_padded(o, s, p, ndigits + nsign);
}

static const char *parse_number(const char *fmt, int *value)
{
	*value = 0;
	for (; *fmt >= '0' && *fmt <= '9'; fmt++)
		if (*value < 100000)
			*value = *value * 10 + (*fmt - '0');
	return fmt;
}

int ft_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
	struct out o = { .buf = buf, .size = size };

	while (*fmt) {
		struct spec s = { .precision = -1 };
		const char *start = fmt;
		s64 value;
		char c;

		if (*fmt++ != '%') {
			put(&o, *start);
			continue;
		}
		for (; *fmt == '-' || *fmt == '0'; fmt++)
			*(*fmt == '-' ? &s.left : &s.zero) = true;
		if (*fmt == '*') {
			s.width = va_arg(ap, int);
			if (s.width < 0) {
				s.left = true;
				s.width = s.width == INT32_MIN ? 0 : -s.width;
			}
			fmt++;
		} else {
			fmt = parse_number(fmt, &s.width);
		}
		if (*fmt == '.' && *++fmt == '*') {
			s.precision = va_arg(ap, int);
			fmt++;
		} else if (fmt[-1] == '.') {
			fmt = parse_number(fmt, &s.precision);
		}
		for (; *fmt == 'l' || *fmt == 'z'; fmt++)
			s.longs++;

		switch (*fmt++) {
		case 's':
			put_string(&o, &s, va_arg(ap, const char *));
			break;
		case 'c':
			c = (char)va_arg(ap, int);
			put_padded(&o, &s, &c, 1);
			break;
		case 'd':
		case 'i':
			value = s.longs > 1 ? va_arg(ap, long long) :
				s.longs ? va_arg(ap, long) : va_arg(ap, int);
			if (value < 0)
				put_number(&o, &s, -(u64)value, "-", 10, lower);
			else
				put_number(&o, &s, (u64)value, "", 10, lower);
			break;
		case 'u':
		case 'x':
		case 'X':
			put_number(&o, &s, s.longs > 1 ? va_arg(ap, unsigned long long) :
				   s.longs ? va_arg(ap, unsigned long) : va_arg(ap, unsigned int),
				   "", fmt[-1] == 'u' ? 10 : 16, fmt[-1] == 'X' ? upper : lower);
			break;
		case 'p':
			put_number(&o, &s, (uintptr_t)va_arg(ap, void *), "0x", 16, lower);
			break;
		case '%':
			put(&o, '%');
			break;
		default:
			fmt--;	/* unknown or cut short: show it */
			while (start < fmt)
				put(&o, *start++);
		}
	}
	if (size)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return (int)o.len;
}

int ft_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = ft_vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return len;
}
