/* SPDX-License-Identifier: MIT */
/* Objects returned and passed by hidden reference, virtual and multiple inheritance thunks, lambdas. */
#include "t.h"
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

struct Left { virtual ~Left() {} virtual long left(long n) = 0; long a = 1; };
struct Right { virtual ~Right() {} virtual std::string right(long n) = 0; long b = 2; };
struct Both : Left, Right {
	NOINLINE long left(long n) override { KEEP(); return n + a; }
	NOINLINE std::string right(long n) override { KEEP(); return std::to_string(n + b); }
};
struct Base { virtual ~Base() {} virtual Base *self() { return this; } };
struct Side { virtual ~Side() {} long s = 3; };
struct Covariant : Side, virtual Base { NOINLINE Covariant *self() override { KEEP(); return this; } };

NOINLINE std::vector<std::string> strings(int n)
{
	std::vector<std::string> v;
	for (int i = 0; i < n; i++)
		v.push_back(std::string(i, 'a' + i % 26));
	return v;
}
NOINLINE std::tuple<long, double, std::string> tuple(long n) { return {n, n / 2.0, std::to_string(n)}; }
NOINLINE std::unique_ptr<Right> make() { return std::make_unique<Both>(); }
NOINLINE long apply(const std::function<long(long)> &f, long n) { return f(n) + 1; }
NOINLINE std::string by_value(std::string text, std::vector<std::string> more)
{
	for (auto &s : more)
		text += s;
	return text;
}

int main()
{
	size_t total = 0;
	double sum = 0;

	for (long i = 0; i < 300; i++) {
		auto v = strings(i % 20);
		auto [n, d, s] = tuple(i);
		auto right = make();
		Left *left = dynamic_cast<Left *>(right.get());
		Covariant covariant;
		Base *base = &covariant;

		total += by_value(s, v).size() + right->right(i).size() + left->left(i);
		total += apply([&](long x) { return x * n; }, i);
		CHECK(base->self() == base);
		sum += d;
	}
	printf("%zu %g\n", total, sum);
	return 0;
}
