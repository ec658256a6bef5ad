/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/format.h"

const char *format_duration(uint64_t ns, char *text)
{
	static const char units[][3] = { "ns", "us", "ms", "s" };
	uint64_t unit = 1;
	int i = 0, decimals;

	while (i < 3 && ns / unit >= 1000) {
		unit *= 1000;
		i++;
	}
	if (i == 0) {
		snprintf(text, 32, "%llu ns", (unsigned long long)ns);
		return text;
	}
	decimals = ns / unit >= 100 ? 1 : ns / unit >= 10 ? 2 : 3;
	snprintf(text, 32, "%.*f %s", decimals, (double)ns / unit, units[i]);
	return text;
}

const char *format_size(uint64_t bytes, char *text)
{
	static const char units[][4] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double size = bytes;
	int i = -1;

	for (; size >= 1024 && i < 5; i++)
		size /= 1024;
	if (i < 0)
		snprintf(text, 32, "%llu B", (unsigned long long)bytes);
	else
		snprintf(text, 32, "%.*f %s", size < 10 ? 1 : 0, size, units[i]);
	return text;
}

/* Length of the UTF-8 sequence at @s, 0 if it is none. */
static int utf8(const unsigned char *s)
{
	int n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 :
		s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	for (int i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Not the shortest form, surrogates, beyond U+10FFFF. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return n;
}

void format_json(FILE *f, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	putc('"', f);
	while (*s) {
		int n = utf8(s);

		if (!n) {
			fputs("\\ufffd", f);
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			fprintf(f, "\\%c", *s);
		} else if (*s < ' ' || *s == 0x7f) {
			fprintf(f, "\\u%04x", *s);
		} else {
			fwrite(s, 1, n, f);
		}
		s += n;
	}
	putc('"', f);
}

void format_csv(FILE *f, const char *s)
{
	if (!strpbrk(s, ",\"\r\n")) {
		fputs(s, f);
		return;
	}
	putc('"', f);
	for (; *s; s++) {
		if (*s == '"')
			putc('"', f);
		putc(*s, f);
	}
	putc('"', f);
}

int cmd_finish_stdout(void)
{
	if (fflush(stdout) || ferror(stdout))
		return cmd_error("standard output: %s", strerror(errno));
	return 0;
}
