// SPDX-License-Identifier: MIT
// What only C++ has: references, strings, classes that are passed by address. Each prints its call as replay is to show it.
#include <cstdio>
#include <string>
#include <string_view>

#ifdef __clang__
#define ALONE __attribute__((noinline))
#else
#define ALONE __attribute__((noipa))
#endif

namespace shape {

struct Point { int x; double y; };

class Base {
public:
	virtual ~Base() {}
	int id = 7;
};

// With a destructor of its own, so that it is passed by address.
struct Guard {
	int level;
	Guard(int l) : level(l) {}
	Guard(const Guard &other) : level(other.level) {}
	~Guard() { level = 0; }
};

enum class Kind : unsigned char { Low, High };

class Circle : public Base {
public:
	double radius = 2.5;
	ALONE double scale(double by, const std::string &name);
	ALONE static int count(std::string_view text, int n);
};

double Circle::scale(double by, const std::string &name)
{
	printf("shape::Circle::scale(%p, %g, \"%s\") = %g\n", (void *)this, by, name.c_str(), radius * by);
	return radius * by;
}

int Circle::count(std::string_view text, int n)
{
	printf("shape::Circle::count(\"%.*s\", %d) = %d\n", (int)text.size(), text.data(), n, n);
	return n;
}

ALONE int refs(int &i, const Point &p, Point q, Kind k, Guard g, Base &b)
{
	printf("shape::refs(%d, {x=%d, y=%g}, {x=%d, y=%g}, %s, {level=%d}, {id=%d}) = %d\n", i, p.x, p.y, q.x, q.y,
	       k == Kind::High ? "High" : "Low", g.level, b.id, g.level);
	return g.level;
}

ALONE std::string join(std::string a, const std::string &b)
{
	printf("shape::join(\"%s\", \"%s\") = \"%s\"\n", a.c_str(), b.c_str(), (a + b).c_str());
	return a + b;
}

struct Named { std::string name; int number; std::string other; };

ALONE int named(const Named &n, std::string &&moved)
{
	printf("shape::named({name=\"%s\", number=%d, other=\"%s\"}, \"%s\") = %d\n", n.name.c_str(), n.number, n.other.c_str(),
	       moved.c_str(), n.number);
	return n.number;
}

ALONE std::string &assign(std::string &to, const std::string &from, size_t length)
{
	/* A zero inside ends what is shown. */
	printf("shape::assign(\"%s\", \"%s\"%s, %zu) = \"%s\"%s\n", to.c_str(), from.c_str(), from.size() > length ? "..." : "",
	       length, from.c_str(), from.size() > length ? "..." : "");
	to = from;
	return to;
}

template <class T> ALONE T twice(T a)
{
	if (sizeof(T) == 4)
		printf("shape::twice<int>(%d) = %d\n", (int)a, (int)(a + a));
	else
		printf("shape::twice<double>(%g) = %g\n", (double)a, (double)(a + a));
	return a + a;
}

}

int main()
{
	shape::Circle c;
	int i = 3;

	c.scale(2, "short");
	c.scale(1.5, "long enough to live somewhere else");
	shape::Circle::count(std::string_view("view of more", 4), 5);
	shape::refs(i, { 1, 2.5 }, { 3, 4.5 }, shape::Kind::High, shape::Guard(9), c);
	shape::join("ab", "cd");
	shape::join("", "twenty-two is the most");
	shape::join("twenty-three are too many", "c");
	shape::named({ "short", 5, "long enough to live somewhere else" }, "x");
	std::string to("first"), other, from("a\0b", 3), longer(40, 'x');
	shape::assign(to, from, 1);
	longer[3] = '\0';
	shape::assign(other, longer, 3);
	shape::twice(4);
	shape::twice(1.25);
	return 0;
}
