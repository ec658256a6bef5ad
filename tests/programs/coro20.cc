/* SPDX-License-Identifier: MIT */
/* C++20 coroutines: their ramp, resume and destroy functions traced, exceptions through them. */
#include "t.h"
#include <coroutine>
#include <exception>
#include <stdexcept>

struct Generator {
	struct promise_type {
		long value = 0;
		std::exception_ptr error;
		Generator get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
		std::suspend_always initial_suspend() { return {}; }
		std::suspend_always final_suspend() noexcept { return {}; }
		std::suspend_always yield_value(long v) { value = v; return {}; }
		void return_void() {}
		void unhandled_exception() { error = std::current_exception(); }
	};
	std::coroutine_handle<promise_type> handle;
	bool next()
	{
		handle.resume();
		if (handle.promise().error)
			std::rethrow_exception(handle.promise().error);
		return !handle.done();
	}
};

NOINLINE Generator count(long n, bool fail)
{
	for (long i = 0; i < n; i++)
		co_yield i * i;
	if (fail)
		throw std::runtime_error("end");
}

int main()
{
	long sum = 0, errors = 0;
	for (int round = 0; round < 200; round++) {
		Generator generator = count(round % 30, round % 3 == 0);
		try {
			while (generator.next())
				sum += generator.handle.promise().value;
		} catch (const std::runtime_error &) {
			errors++;
		}
		generator.handle.destroy();
	}
	printf("%ld %ld\n", sum, errors);
	return 0;
}
