/* SPDX-License-Identifier: MIT */
/* The same in C++, with members, templates, virtual functions, lambdas, exceptions. */
#define EXTERN_C	extern "C"
#define EXTRA_FUNCTIONS(X)	X(method) X(virtual_one) X(generic) X(thrower) X(in_space)
#define EXTRA_CODE								\
	namespace space {							\
	FUNCTION long N(in_space)(long n) { ENTER(in_space); KEEP(); return n + 5; }	\
	struct N(Base) { virtual long N(virtual_one)(long n) = 0; };		\
	struct N(Derived) : N(Base) {						\
		FUNCTION long N(method)(long n) { ENTER(method); KEEP(); return n; }	\
		FUNCTION long N(virtual_one)(long n) override			\
		{								\
			ENTER(virtual_one);					\
			return N(method)(n) + 1;				\
		}								\
	};									\
	}									\
	template <typename T> FUNCTION T N(generic)(T n) { ENTER(generic); KEEP(); return n + n; }	\
	FUNCTION long N(thrower)(long n)					\
	{									\
		ENTER(thrower);							\
		if (n == 0)							\
			throw 5;						\
		n = N(thrower)(n - 1) + 1;					\
		KEEP();								\
		return n;							\
	}
#define EXTRA_RUN								\
	space::N(Derived) object;						\
	space::N(Base) *volatile base = &object;				\
	for (int i = 0; i < 23; i++) {						\
		r += base->N(virtual_one)(i) + N(generic)(i) + (long)N(generic)(i * 0.5);	\
		r += space::N(in_space)(i);					\
		try {								\
			N(thrower)(i);						\
		} catch (int n) {						\
			r += n;							\
		}								\
	}
#include "matrix.inc"
