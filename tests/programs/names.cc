// SPDX-License-Identifier: MIT
// Functions with C++ and Rust names: names TIMES. Each is called TIMES times, prints its sum.
#include <cstdio>
#include <cstdlib>
#include <new>

#define NOINLINE __attribute__((noinline))
#define KEEP() __asm__ volatile("" ::: "memory")

namespace shape {
class Circle {
public:
	NOINLINE Circle(int r) : r(r) { KEEP(); }
	NOINLINE int area() const { KEEP(); return 3 * r * r; }
	NOINLINE int scale(int by) { KEEP(); return r *= by; }
	NOINLINE int scale(double by) { KEEP(); return r = (int)(r * by); }
	NOINLINE bool operator<(const Circle &other) const { KEEP(); return r < other.r; }
	int r;
};
template <class A, class B> NOINLINE int pair(A a, B b) { KEEP(); return (int)a + (int)b; }
}

NOINLINE int free_function(int n) { KEEP(); return n; }

extern "C" {
// Rust's two manglings.
NOINLINE int rust_v0(int n) __asm__("_RNvNtCs1234_7mycrate5inner3foo");
NOINLINE int rust_v0(int n) { KEEP(); return n; }
NOINLINE int rust_legacy(int n) __asm__("_ZN7mycrate3bar17h0123456789abcdefE");
NOINLINE int rust_legacy(int n) { KEEP(); return n; }
}

int main(int argc, char **argv)
{
	int times = argc > 1 ? atoi(argv[1]) : 1, sum = 0;

	for (int i = 0; i < times; i++) {
		shape::Circle c(i), d(i + 1);

		sum += c.area() + d.scale(2) + d.scale(0.5) + (c < d);
		sum += shape::pair<int, char>(1, 2) + shape::pair<long, long>(1, 2);
		sum += free_function(1) + rust_v0(1) + rust_legacy(1);
	}
	printf("%d\n", sum);
	return 0;
}
