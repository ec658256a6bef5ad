/* SPDX-License-Identifier: MIT */
/* Every class of return value and argument of the ABI; vectors as wide as the compiler is told. */
#include "t.h"
#include <complex.h>
#include <stdarg.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

struct two_doubles { double a, b; };
struct double_long { double a; long b; };
struct long_double { long a; double b; };
struct two_longs { long a, b; };
struct memory { long x[5]; };
struct floats { float a, b, c, d; };
struct packed { char a; int b; short c; } __attribute__((packed));
struct big_vector { double a, b; long c; };
union mixed { double d; long l; };

static volatile double seed = 1.5;
static volatile long count = 7;

NOINLINE struct two_doubles two_doubles(double a, double b) { KEEP(); return (struct two_doubles){ a + b, a - b }; }
NOINLINE struct double_long double_long(double a, long b) { KEEP(); return (struct double_long){ a * 2, b * 3 }; }
NOINLINE struct long_double long_double_pair(long a, double b) { KEEP(); return (struct long_double){ a * 2, b * 3 }; }
NOINLINE struct two_longs two_longs(long a, long b) { KEEP(); return (struct two_longs){ a + b, a - b }; }
NOINLINE struct memory memory(long a) { struct memory m; for (int i = 0; i < 5; i++) m.x[i] = a * i; KEEP(); return m; }
NOINLINE struct floats floats(float a) { KEEP(); return (struct floats){ a, a + 1, a + 2, a + 3 }; }
NOINLINE struct packed packed(int a) { KEEP(); return (struct packed){ a, a + 1, a + 2 }; }
NOINLINE struct big_vector big_vector(double a, long c) { KEEP(); return (struct big_vector){ a, a + 1, c }; }
NOINLINE union mixed mixed(long a) { union mixed u; u.l = a; KEEP(); return u; }
NOINLINE float one_float(float a) { KEEP(); return a / 3; }
NOINLINE double one_double(double a) { KEEP(); return a / 3; }
NOINLINE long double long_double(long double a) { KEEP(); return a / 3; }
NOINLINE _Complex float complex_float(_Complex float a) { KEEP(); return a * a; }
NOINLINE _Complex double complex_double(_Complex double a) { KEEP(); return a * a; }
NOINLINE _Complex long double complex_long_double(_Complex long double a) { KEEP(); return a * a; }
#ifdef __SIZEOF_INT128__
NOINLINE __int128 int128(__int128 a, long b) { KEEP(); return a * b; }
#else
NOINLINE long long int128(long long a, long b) { KEEP(); return a * b; }	/* in two registers, too */
#endif
NOINLINE _Bool boolean(long a) { KEEP(); return a & 1; }
NOINLINE signed char small(long a) { KEEP(); return a; }

NOINLINE double many(double a, double b, double c, double d, double e, double f, double g, double h,
		     double i, double j, long k, long l, long m, long n, long o, long p, long q,
		     long r, struct memory s, long double t, float u)
{
	KEEP();
	return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j + k * 11 +
	       l * 12 + m * 13 + n * 14 + o * 15 + p * 16 + q * 17 + r * 18 + s.x[4] * 19 + t + u;
}

NOINLINE double sum_doubles(int n, ...)
{
	va_list list;
	double sum = 0;

	va_start(list, n);
	for (int i = 0; i < n; i++)
		sum = sum * 1.25 + va_arg(list, double);
	va_end(list);
	return sum;
}

NOINLINE long sum_mixed(const char *types, ...)
{
	va_list list;
	long sum = 0;

	va_start(list, types);
	for (; *types; types++)
		switch (*types) {
		case 'i': sum = sum * 3 + va_arg(list, int); break;
		case 'l': sum = sum * 3 + va_arg(list, long); break;
		case 'd': sum = sum * 3 + (long)(va_arg(list, double) * 8); break;
		case 'D': sum = sum * 3 + (long)(va_arg(list, long double) * 8); break;
		case 'm': sum = sum * 3 + va_arg(list, struct memory).x[3]; break;
		}
	va_end(list);
	return sum;
}

#ifdef __AVX__
NOINLINE __m256d m256d(__m256d a, __m256d b) { KEEP(); return _mm256_add_pd(a, b); }
NOINLINE __m256d m256d_nine(__m256d a, __m256d b, __m256d c, __m256d d, __m256d e, __m256d f,
			    __m256d g, __m256d h, __m256d i)
{
	KEEP();
	return _mm256_add_pd(a, _mm256_sub_pd(_mm256_add_pd(b, c), _mm256_mul_pd(
		_mm256_add_pd(d, e), _mm256_add_pd(_mm256_add_pd(f, g), _mm256_sub_pd(h, i)))));
}
#endif
#ifdef __AVX512F__
NOINLINE __m512d m512d(__m512d a, __m512d b) { KEEP(); return _mm512_add_pd(a, b); }
#endif

int main(void)
{
	for (int round = 0; round < 100; round++) {
		double x = seed + round;
		long n = count + round;
		struct two_doubles td = two_doubles(x, n);
		struct double_long dl = double_long(x, n);
		struct long_double ld = long_double_pair(n, x);
		struct two_longs tl = two_longs(n, round);
		struct memory m = memory(n);
		struct floats f = floats(x);
		struct packed p = packed(n);
		struct big_vector v = big_vector(x, n);
		_Complex float cf = complex_float(x + 1.0f * I);
		_Complex double cd = complex_double(x + 2.0 * I);
		_Complex long double cl = complex_long_double(x + 3.0L * I);
#ifdef __SIZEOF_INT128__
		__int128 wide = int128(((__int128)n << 70) + n, n);
#else
		long long wide = int128(((long long)n << 40) + n, n);
#endif

		printf("%a %a %a %ld %ld %a %ld %ld\n", td.a, td.b, dl.a, dl.b, ld.a, ld.b, tl.a, tl.b);
		printf("%ld %ld %a %a %d %d %d %a %ld\n", m.x[1], m.x[4], f.a, f.d, p.a, p.b, p.c, v.b, v.c);
		printf("%ld %a %a %La %d %d\n", mixed(n).l, one_float(x), one_double(x), long_double(x),
		       boolean(n), small(n * 40));
		printf("%a %a %a %a %La %La\n", crealf(cf), cimagf(cf), creal(cd), cimag(cd),
		       creall(cl), cimagl(cl));
		printf("%lx %lx\n", (long)(wide >> 4 * sizeof(wide)), (long)wide);
		printf("%a\n", many(x, 2, 3, 4, 5, 6, 7, 8, 9, x, n, 2, 3, 4, 5, 6, 7, n, m, x, x));
		printf("%a %ld\n", sum_doubles(12, x, 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., x),
		       sum_mixed("ildDmilddddddddddiiiii", round, n, x, (long double)x, m, 1, n, 2.,
				 3., 4., 5., 6., 7., 8., 9., 10., x, 1, 2, 3, 4, round));
#ifdef __AVX__
		{
			__m256d a = _mm256_set_pd(x, 2, 3, 4), b = _mm256_set_pd(n, 6, 7, x);
			__m256d c = m256d(a, b), d = m256d_nine(a, b, c, a, b, c, a, b, c);
			double out[8];

			_mm256_storeu_pd(out, c);
			_mm256_storeu_pd(out + 4, d);
			for (int i = 0; i < 8; i++)
				printf("%a%c", out[i], i == 7 ? '\n' : ' ');
		}
#endif
#ifdef __AVX512F__
		{
			__m512d a = _mm512_set_pd(x, 2, 3, 4, 5, 6, 7, 8), b = _mm512_set1_pd(x);
			__m512d c = m512d(a, b);
			double out[8];

			_mm512_storeu_pd(out, c);
			for (int i = 0; i < 8; i++)
				printf("%a%c", out[i], i == 7 ? '\n' : ' ');
		}
#endif
	}
	return 0;
}
