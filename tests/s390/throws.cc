// SPDX-License-Identifier: MIT
// Exceptions through traced functions, each with objects to be destroyed on the way.
#include <cstdio>
#include <stdexcept>

#define FUNC __attribute__((noinline))
#define PLAIN __attribute__((noinline, patchable_function_entry(0)))

static int destroyed;

struct counted {
	~counted() { destroyed++; }
};

FUNC void thrower(int depth)
{
	counted here;

	if (depth)
		thrower(depth - 1);
	else
		throw std::runtime_error("from below");
	__asm__ volatile("");
}

FUNC int rethrower(int depth)
{
	counted here;

	try {
		thrower(depth);
	} catch (std::exception &) {
		throw;
	}
	return 0;
}

FUNC int catcher(int depth)
{
	try {
		return rethrower(depth);
	} catch (std::exception &e) {
		std::printf("%s\n", e.what());
		return depth;
	}
}

PLAIN int main()
{
	int sum = 0;

	for (int i = 0; i < 10; i++)
		sum += catcher(i);
	std::printf("%d caught, %d destroyed\n", sum, destroyed);
	return 0;
}
