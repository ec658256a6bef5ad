/* SPDX-License-Identifier: MIT */
/* Rethrow from a catch in the middle, exceptions thrown while another is handled, nested ones. */
#include "t.h"
#include <exception>
#include <stdexcept>
#include <string>

static long destroyed;
struct Guard { ~Guard() { destroyed++; } };

NOINLINE int deep(int n)
{
	Guard guard;
	if (n == 0)
		throw std::runtime_error("bottom");
	int r = deep(n - 1);
	KEEP();
	return r + 1;
}

NOINLINE int translate(int n)
{
	try {
		return deep(n) + 1;
	} catch (const std::runtime_error &error) {
		try {
			deep(3);
		} catch (...) {
			KEEP();
		}
		if (n % 2)
			throw;
		std::throw_with_nested(std::logic_error("translated " + std::to_string(n)));
	}
}

NOINLINE int forward(int n)
{
	try {
		return translate(n);
	} catch (...) {
		KEEP();
		throw;
	}
}

int main()
{
	long plain = 0, nested = 0;

	for (int i = 0; i < 600; i++) {
		try {
			forward(i % 40);
		} catch (const std::logic_error &error) {
			try {
				std::rethrow_if_nested(error);
			} catch (const std::runtime_error &) {
				nested++;
			}
		} catch (const std::runtime_error &) {
			plain++;
		}
	}
	printf("plain %ld nested %ld destroyed %ld\n", plain, nested, destroyed);
	return 0;
}
