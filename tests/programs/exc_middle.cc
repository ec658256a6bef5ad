/* SPDX-License-Identifier: MIT */
/* Thousands of exceptions through frames of which only the one in the middle has a destructor. */
#include "t.h"
#include <stdexcept>

static long alive, destroyed;
struct Guard {
	Guard() { alive++; }
	~Guard() { alive--; destroyed++; }
};

NOINLINE int thrower(int n)
{
	if (n % 3 == 0)
		throw std::runtime_error("three");
	if (n % 3 == 1)
		throw n;
	return n;
}
NOINLINE int plain_below(int n) { int r = thrower(n); KEEP(); return r + 1; }
NOINLINE int guarded(int n) { Guard guard; int r = plain_below(n); KEEP(); return r + 1; }
NOINLINE int plain_above(int n) { int r = guarded(n); KEEP(); return r + 1; }

int main()
{
	long ints = 0, errors = 0, sum = 0;

	for (int i = 0; i < 5000; i++) {
		try {
			sum += plain_above(i);
		} catch (const std::runtime_error &error) {
			errors += strcmp(error.what(), "three") == 0;
		} catch (int n) {
			ints += n;
		}
	}
	printf("%ld %ld %ld alive %ld destroyed %ld\n", ints, errors, sum, alive, destroyed);
	return 0;
}
