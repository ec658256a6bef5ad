/* SPDX-License-Identifier: MIT */
/*
 * Calls the memory and string functions of the C library, which are chosen at load time, over all
 * small lengths and alignments and some large ones, from threads as well, checks each result, and calls
 * much else of it: allocation, printing, sorting, locale, time, environment, regular expressions.
 */
#include "t.h"
#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

#define MAX 300
#define LARGE (3 << 20)

static void fill(unsigned char *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245u + 12345u;
		p[i] = (unsigned char)(1 + (seed >> 16) % 255);
	}
}

static unsigned long sum(const void *data, size_t n)
{
	const volatile unsigned char *p = data;
	unsigned long s = 5381;

	for (size_t i = 0; i < n; i++)
		s = s * 33 + p[i];
	return s;
}

static unsigned long memory_functions(void)
{
	static __thread unsigned char a[MAX + 80], b[MAX + 80];
	unsigned long s = 0;

	for (size_t align = 0; align < 64; align += 9)
		for (size_t n = 0; n < MAX; n += n < 70 ? 1 : 13) {
			unsigned char *p = a + align, *q = b + (align * 7 & 63);

			fill(p, n + 1, (unsigned)(n + align));
			CHECK(memcpy(q, p, n) == q && sum(q, n) == sum(p, n) && !memcmp(p, q, n));
			CHECK(memmove(q + 1, q, n) == q + 1 && sum(q + 1, n) == sum(p, n));
			CHECK(memset(q, 7, n) == q);
			for (size_t i = 0; i < n; i++)
				CHECK(q[i] == 7);
			p[n] = 0;
			CHECK(strlen((char *)p) == n && strnlen((char *)p, n / 2) == n / 2);
			CHECK(strcpy((char *)q, (char *)p) == (char *)q && !strcmp((char *)p, (char *)q));
			CHECK(stpcpy((char *)q, (char *)p) == (char *)q + n);
			CHECK(memchr(p, 0, n + 1) == p + n && rawmemchr(p, 0) == p + n);
			CHECK(strchr((char *)p, 0) == (char *)p + n && !strncmp((char *)p, (char *)q, n));
			if (n) {
				q[n - 1] ^= 0x40;
				CHECK(memcmp(p, q, n) && (q[n - 1] == 0 || strcmp((char *)p, (char *)q)));
				CHECK(memrchr(p, p[n - 1], n) == p + n - 1);
				CHECK(strrchr((char *)p, p[n - 1]) == (char *)p + n - 1);
			}
			s += sum(q, n);
		}
	return s;
}

static unsigned long large_blocks(void)
{
	unsigned char *p = malloc(LARGE), *q = malloc(LARGE);
	unsigned long s;

	CHECK(p && q);
	fill(p, LARGE, 9);
	memcpy(q, p, LARGE);
	CHECK(!memcmp(p, q, LARGE));
	memmove(q + 5, q, LARGE - 5);
	p = realloc(p, LARGE * 2);
	memset(p + LARGE, 0, LARGE);
	s = sum(q, LARGE) + sum(p + LARGE - 100, 200);
	free(p);
	free(q);
	return s;
}

static int compare(const void *a, const void *b)
{
	return strcoll(*(char *const *)a, *(char *const *)b);
}

static unsigned long texts(void)
{
	char *lines[200], text[400];
	unsigned long s = 0;
	regex_t re;

	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "%05d %-8s|%10.4f|%#x|%Lg", i * 7919 % 1000, i & 1 ? "odd" : "even",
			 sqrt(i) * 1e3, i * 37, (long double)i / 7);
		lines[i] = strdup(text);
	}
	qsort(lines, 200, sizeof(*lines), compare);
	CHECK(!regcomp(&re, "^0*([1-9][0-9]*) (odd|even) +\\|", REG_EXTENDED));
	for (int i = 0; i < 200; i++) {
		regmatch_t m[3];

		s += sum(lines[i], strlen(lines[i]));
		if (!regexec(&re, lines[i], 3, m, 0))
			s += (unsigned long)strtol(lines[i] + m[1].rm_so, NULL, 10);
		free(lines[i]);
	}
	regfree(&re);
	return s;
}

static unsigned long wide(void)
{
	wchar_t w[100], v[100];
	mbstate_t state = { 0 };
	const char *from = "gr\xc3\xbc\xc3\x9f \xe2\x82\xac";
	size_t n = mbsrtowcs(w, &from, 100, &state);

	CHECK(n != (size_t)-1);
	CHECK(wcslen(w) == n && wmemcpy(v, w, n + 1) == v && !wcscmp(v, w) && wcschr(w, w[n - 1]));
	for (size_t i = 0; i < n; i++)
		v[i] = (wchar_t)towupper((wint_t)v[i]);
	return sum(v, n * sizeof(*v));
}

static volatile sig_atomic_t handled;
static void handler(int sig) { (void)sig; handled = handled + 1; }

static unsigned long others(void)
{
	struct tm tm;
	time_t t = 1000000000;
	char text[100];
	unsigned long s = 0;
	char *heap[100];

	setenv("TZ", "UTC0", 1);
	tzset();
	CHECK(strftime(text, sizeof(text), "%a %d %b %Y %T", gmtime_r(&t, &tm)));
	s += sum(text, strlen(text));
	for (int i = 0; i < 100; i++)
		CHECK((heap[i] = calloc(1, (size_t)i * i + 1)));
	for (int i = 0; i < 100; i += 2)
		free(heap[i]);
	for (int i = 1; i < 100; i += 2)
		free(heap[i]);
	signal(SIGUSR1, handler);
	for (int i = 0; i < 50; i++)
		raise(SIGUSR1);
	errno = 0;
	CHECK(strtol("99999999999999999999", NULL, 10) && errno == ERANGE);
	return s + (unsigned long)handled;
}

static void *thread(void *arg)
{
	unsigned long s = memory_functions();

	if (arg)
		s += large_blocks() + texts();
	return (void *)s;
}

int main(void)
{
	pthread_t ids[3];
	unsigned long s = 0;

	setlocale(LC_ALL, "C.UTF-8");
	for (long i = 0; i < 3; i++)
		CHECK(pthread_create(&ids[i], NULL, thread, (void *)i) == 0);
	s = memory_functions() + wide() + others();
	for (int i = 0; i < 3; i++) {
		void *value;

		CHECK(pthread_join(ids[i], &value) == 0);
		s += (unsigned long)value;
	}
	printf("%lx\n", s);
	return 11;
}
