/* SPDX-License-Identifier: MIT */
/* Exceptions in several threads at once, and carried from one thread to another. */
#include "t.h"
#include <exception>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

static thread_local long destroyed;
struct Guard { ~Guard() { destroyed++; } };

NOINLINE long dig(int n)
{
	Guard guard;
	if (n == 0)
		throw std::out_of_range("floor");
	long r = dig(n - 1);
	KEEP();
	return r + 1;
}

NOINLINE long worker(int rounds)
{
	long caught = 0;
	for (int i = 0; i < rounds; i++) {
		try {
			dig(i % 20);
		} catch (const std::out_of_range &) {
			caught++;
		}
	}
	return caught * 1000000 + destroyed;
}

int main()
{
	std::vector<std::thread> threads;
	long results[4];

	for (int i = 0; i < 4; i++)
		threads.emplace_back([i, &results] { results[i] = worker(1000 + i); });
	for (auto &thread : threads)
		thread.join();
	for (long result : results)
		printf("%ld\n", result);

	long carried = 0;
	for (int i = 0; i < 200; i++) {
		auto future = std::async(std::launch::async, dig, i % 10);
		try {
			future.get();
		} catch (const std::out_of_range &) {
			carried++;
		}
	}
	printf("carried %ld\n", carried);
	return 0;
}
