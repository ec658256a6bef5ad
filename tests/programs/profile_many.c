// SPDX-License-Identifier: MIT
// 4096 functions, each called twice.
#define EACH(f, p)	f(p##0) f(p##1) f(p##2) f(p##3) f(p##4) f(p##5) f(p##6) f(p##7)
#define EACH2(f, p)	EACH(f, p##0) EACH(f, p##1) EACH(f, p##2) EACH(f, p##3) \
			EACH(f, p##4) EACH(f, p##5) EACH(f, p##6) EACH(f, p##7)
#define EACH3(f, p)	EACH2(f, p##0) EACH2(f, p##1) EACH2(f, p##2) EACH2(f, p##3) \
			EACH2(f, p##4) EACH2(f, p##5) EACH2(f, p##6) EACH2(f, p##7)
#define ALL(f)		EACH3(f, f_0) EACH3(f, f_1) EACH3(f, f_2) EACH3(f, f_3) \
			EACH3(f, f_4) EACH3(f, f_5) EACH3(f, f_6) EACH3(f, f_7)

#define DEFINE(name)	void name(void) { }
ALL(DEFINE)
#define CALL(name)	name();

int main(void)
{
	for (int i = 0; i < 2; i++) {
		ALL(CALL)
	}
	return 0;
}
