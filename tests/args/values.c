/* SPDX-License-Identifier: MIT */
/* Functions with all kinds of parameters and results. Each prints its call as ftrace replay is to show it. */
#include <complex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __clang__
#define ALONE __attribute__((noinline))
#else
#define ALONE __attribute__((noipa))
#endif

/* What is not used need not be passed. */
static volatile long sink;
#define USE(x)	(sink += (long)(x))

enum color { RED, GREEN, BLUE = 5, BLACK = -1 };
enum access { READ = 1, WRITE = 2, EXEC = 4, RW = 3 };
struct pair { int x, y; };
struct big { long a, b, c; char name[8]; };
struct mixed { double d; int i; };
struct floats { float a, b, c; };
struct bits { unsigned a : 3, b : 7; int c : 4; unsigned d : 20; };
struct nested { struct pair p; short s[2]; bool ok; };
struct one { char c; };
struct doubles { double a, b; };
struct packed { char c; long l; } __attribute__((packed));
union either { int i; unsigned u; };
typedef struct pair pair_t;

ALONE int ints(char c, signed char sc, unsigned char uc, short s, unsigned short us, int i)
{
	printf("ints('%c', %d, %u, %d, %u, %d) = %d\n", c, sc, uc, s, us, i, c + i);
	return c + i;
}

ALONE long longs(unsigned u, long l, unsigned long ul, long long ll, unsigned long long ull, bool b, long g, char h, short j)
{
	printf("longs(%u, %ld, %lu, %lld, %llu, %s, %ld, '%c', %d) = %ld\n", u, l, ul, ll, ull, b ? "true" : "false", g, h, j, g);
	return g;
}

ALONE unsigned char tiny(bool a, bool b)
{
	printf("tiny(%s, %s) = %d\n", a ? "true" : "false", b ? "true" : "false", 200 + a);
	return 200 + a;
}

ALONE bool truth(int a)
{
	printf("truth(%d) = %s\n", a, a > 3 ? "true" : "false");
	return a > 3;
}

ALONE double doubles(float f, double d, float g)
{
	printf("doubles(%g, %g, %g) = %g\n", f, d, g, f * d);
	return f * d;
}

ALONE float many(double a, double b, double c, double d, double e, double f, double g, double h, double i, float j, int k)
{
	printf("many(%g, %g, %g, %g, %g, %g, %g, %g, %g, %g, %d) = %g\n", a, b, c, d, e, f, g, h, i, j, k, a + j);
	return a + j;
}

/* A register of i386 holds it; as a double it is infinite. */
ALONE double too_much(double a, int times)
{
	double product = a * times;

	printf("too_much(%g, %d) = %g\n", a, times, *(volatile double *)&product);
	return a * times;
}

ALONE int long_double(long double a, int b, long double c)
{
	printf("long_double(%Lg, %d, %Lg) = %d\n", a, b, c, b);
	return b;
}

ALONE long double long_result(long double a, int b)
{
	printf("long_result(%Lg, %d) = %Lg\n", a, b, a * b);
	return a * b;
}

ALONE pair_t pairs(pair_t p, int k, struct pair q)
{
	pair_t r = { p.x + k, q.y };

	printf("pairs({x=%d, y=%d}, %d, {x=%d, y=%d}) = {x=%d, y=%d}\n", p.x, p.y, k, q.x, q.y, r.x, r.y);
	return r;
}

ALONE struct mixed mix(struct mixed m, struct floats f, struct one o)
{
	struct mixed r = { m.d + 1, m.i + 1 };

	printf("mix({d=%g, i=%d}, {a=%g, b=%g, c=%g}, {c='%c'}) = {d=%g, i=%d}\n", m.d, m.i, f.a, f.b, f.c, o.c, r.d, r.i);
	return r;
}

ALONE struct big bigs(int before, struct big b, int after, struct packed p)
{
	b.a++;
	printf("bigs(%d, {a=%ld, b=%ld, c=%ld, name=\"%s\"}, %d, {c='%c', l=%ld}) = {a=%ld, b=%ld, c=%ld, name=\"%s\"}\n",
	       before, b.a - 1, b.b, b.c, b.name, after, p.c, p.l, b.a, b.b, b.c, b.name);
	return b;
}

ALONE struct nested nest(struct nested n, struct bits b, union either e)
{
	printf("nest({p={x=%d, y=%d}, s=[%d, %d], ok=%s}, {a=%u, b=%u, c=%d, d=%u}, {i=%d, u=%u}) = {p={x=%d, y=%d}, s=[%d, %d], ok=%s}\n",
	       n.p.x, n.p.y, n.s[0], n.s[1], n.ok ? "true" : "false", b.a, b.b, b.c, b.d, e.i, e.u, n.p.x, n.p.y, n.s[0],
	       n.s[1], n.ok ? "true" : "false");
	return n;
}

ALONE struct floats floats(struct floats f)
{
	USE(f.c);
	f.c = 7;
	printf("floats({a=%g, b=%g, c=%g}) = {a=%g, b=%g, c=%g}\n", f.a, f.b, 3.5, f.a, f.b, f.c);
	return f;
}

ALONE struct doubles both(struct doubles d)
{
	printf("both({a=%g, b=%g}) = {a=%g, b=%g}\n", d.a, d.b, d.b, d.a);
	return (struct doubles){ d.b, d.a };
}

static const char *color_name(enum color c)
{
	return c == RED ? "RED" : c == GREEN ? "GREEN" : c == BLUE ? "BLUE" : c == BLACK ? "BLACK" : "7";
}

ALONE enum color colors(enum color c, enum access a, const char *shown)
{
	USE(a);
	printf("colors(%s, %s, \"%s\") = %s\n", color_name(c), shown, shown, color_name(c));
	return c;
}

static const char *const shown_texts[] = {
	"\"plain\"", "\"\"", "NULL", "\"a\\tb\\n\\\"q\\\"\\\\\\x01\\x7f\"", "\"gr\xc3\xbc\xc3\x9f\"", "\"\\xff\\xc2\\x9b\"",
	"0x10 (fault)",
	/* 96 of them are shown. */
	"\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"...",
};

ALONE const char *text(const char *s, int n)
{
	printf("text(%s, %d) = %s\n", shown_texts[n], n, shown_texts[n]);
	return s;
}

ALONE void *pointers(void *p, int *ip, struct pair *q, char **r)
{
	USE(r);
	printf("pointers(%p, %p, %p, NULL) = %p\n", p, (void *)ip, (void *)q, p);
	return p;
}

ALONE int (*functions(int (*f)(const char *), void (*g)(void *)))(const char *)
{
	USE(g);
	printf("functions(helper, NULL) = helper\n");
	return f;
}

int helper(const char *s)
{
	return *s;
}

ALONE int variable(const char *format, ...)
{
	printf("variable(\"%s\", ...) = 3\n", format);
	return 3;
}

ALONE double complex complexes(float complex f, double complex d)
{
	printf("complexes(%g+%gi, %g+%gi) = %g+%gi\n", crealf(f), cimagf(f), creal(d), cimag(d), creal(d), cimag(d));
	return d;
}

ALONE float complex complex_float(float complex f, int by)
{
	float complex product = f * by;

	printf("complex_float(%g+%gi, %d) = %g+%gi\n", crealf(f), cimagf(f), by, crealf(product), cimagf(product));
	return product;
}

ALONE long double complex complex_long(int before, long double complex l, int by)
{
	long double complex product = l * by;

	printf("complex_long(%d, %Lg+%Lgi, %d) = %Lg+%Lgi\n", before, creall(l), cimagl(l), by, creall(product),
	       cimagl(product));
	return product;
}

#ifdef __SIZEOF_INT128__
ALONE __int128 wide(__int128 a, unsigned __int128 b)
{
	USE(b);
	printf("wide(-%lld, 18446744073709551616) = -%lld\n", (long long)-a, (long long)-a);
	return a;
}
#endif

#ifdef __x86_64__
typedef int ints_t __attribute__((vector_size(16)));
typedef double reals_t __attribute__((vector_size(32)));
#define AVX	__attribute__((target("avx")))

ALONE ints_t vectors(ints_t a, float f, ints_t b)
{
	ints_t sum = a + b;

	printf("vectors({%d, %d, %d, %d}, %g, {%d, %d, %d, %d}) = {%d, %d, %d, %d}\n", a[0], a[1], a[2], a[3], f, b[0],
	       b[1], b[2], b[3], sum[0], sum[1], sum[2], sum[3]);
	return sum;
}

/*
 * They are passed in registers by who is compiled so itself; by clang only where the whole file is (its ABI goes by the
 * command line), which is known only where its debugging information says in which register another parameter is.
 */
#if defined(__clang__) && !defined(__OPTIMIZE__)
#define UNTOLD	1
#else
#define UNTOLD	0
#endif

ALONE AVX reals_t wide_vectors(reals_t a, double by)
{
	reals_t product = a * by;

	if (UNTOLD)
		printf("wide_vectors()");
	else
		printf("wide_vectors({%g, %g, %g, %g}, %g)", a[0], a[1], a[2], a[3], by);
	printf(" = {%g, %g, %g, %g}\n", product[0], product[1], product[2], product[3]);
	return product;
}

AVX static void call_wide_vectors(void)
{
	wide_vectors((reals_t){ 1.5, -2.5, 3.5, 1e300 }, 2);
	__asm__ volatile("");	/* no tail call: it would have no return of its own */
}

static void all_vectors(void)
{
	vectors((ints_t){ 1, -2, 3, 4 }, 0.5f, (ints_t){ 10, 20, 30, -40 });
	if (__builtin_cpu_supports("avx"))
		call_wide_vectors();
}
#else
static void all_vectors(void)
{
}
#endif

ALONE void nothing(void)
{
	printf("nothing()\n");
}

ALONE char letters(char a, char b, char c, char d)
{
	if (a == '\n' && b == '\'' && !c && d == '\xff')
		printf("letters('\\n', '\\'', '\\0', '\\xff') = '\\\\'\n");
	return '\\';
}

static void texts(void)
{
	static char longer[3000];

	text("plain", 0);
	text("", 1);
	text(NULL, 2);
	text("a\tb\n\"q\"\\\x01\x7f", 3);
	text("gr\xc3\xbc\xc3\x9f", 4);
	text("\xff\xc2\x9b", 5);
	text((char *)16, 6);
	memset(longer, 'x', sizeof(longer) - 1);
	text(longer, 7);
}

int main(int argc, char **argv)
{
	struct pair q = { 1, 2 };
	int i = 0;

	ints('a', -1, 200, -300, 65000, -70000);
	longs(4000000000u, -5, 6, -7000000000ll, 18000000000000000000ull, true, -9, 'h', -10);
	tiny(true, false);
	truth(3);
	truth(4);
	doubles(1.5f, -2.25, 1e10f);
	many(1, 2, 3, 4, 5, 6, 7, 8, 9.5, 10.5f, 11);
	too_much(1e308, 90);
	long_double(1.25L, 2, -1e300L);
	long_result(-1.25L, 3);
	pairs((pair_t){ 1, -2 }, 3, (struct pair){ 4, 5 });
	mix((struct mixed){ 1.5, -6 }, (struct floats){ 1, 2.5, 3.5 }, (struct one){ 'z' });
	bigs(1, (struct big){ 1, -2, 3, "eight" }, 2, (struct packed){ 'p', 77 });
	nest((struct nested){ { 1, 2 }, { 3, -4 }, true }, (struct bits){ 5, 100, -3, 1000000 }, (union either){ 9 });
	floats((struct floats){ 1.5, 2.5, 3.5 });
	both((struct doubles){ 1.5, 2.5 });
	colors(RED, READ, "READ");
	colors(BLUE, READ | EXEC, "READ|EXEC");
	colors(BLACK, RW, "READ|WRITE");
	colors(7, 8 | WRITE, "WRITE|0x8");
	texts();
	pointers(&q, &i, &q, NULL);
	functions(helper, NULL);
	variable("%d and more", 1, 2.0);
	complexes(1 + 2 * I, 3.5 + 4 * I);
	complex_float(1.5f + 2.5f * I, 3);
	/* The caller still finds both registers. */
	if (complex_long(1, 1.25L + 1e300L * I, 2) != 2.5L + 2e300L * I)
		return 1;
#ifdef __SIZEOF_INT128__
	wide(-12345678901234ll, (unsigned __int128)1 << 64);
#endif
	all_vectors();
	nothing();
	letters('\n', '\'', 0, '\xff');
	return argc > 5 ? helper("x") : 0;
}
