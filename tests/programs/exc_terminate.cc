/* SPDX-License-Identifier: MIT */
/* An exception that nobody catches, or that meets noexcept: terminate handler, SIGABRT. */
#include "t.h"
#include <exception>
#include <stdexcept>

NOINLINE void thrower(int n)
{
	if (n == 0)
		throw std::runtime_error("nobody");
	thrower(n - 1);
	KEEP();
}
NOINLINE void barrier(int n) noexcept { thrower(n); KEEP(); }

int main(int argc, char **argv)
{
	std::set_terminate([] {
		try {
			throw;
		} catch (const std::exception &error) {
			printf("terminate: %s\n", error.what());
		}
		fflush(stdout);
		abort();
	});
	if (argc > 1 && !strcmp(argv[1], "noexcept")) {
		try {
			barrier(5);
		} catch (...) {
			printf("got past noexcept\n");
		}
	}
	thrower(10);
	return 0;
}
