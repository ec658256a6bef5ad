/* SPDX-License-Identifier: MIT */
/* Static constructors and destructors, thread_local destructors, thread-specific data, atexit: all traced. */
#include "t.h"
#include <pthread.h>
#include <string>
#include <thread>

static long ends;
NOINLINE long work(long n) { KEEP(); return n + 1; }
struct Noisy {
	const char *name;
	NOINLINE explicit Noisy(const char *n) : name(n) { printf("%s begins %ld\n", name, work(0)); }
	NOINLINE ~Noisy() { printf("%s ends %ld\n", name, work(1)); }
};
static Noisy first("first");
static std::string text(1000, 'x');
struct Counter { long n = work(0); ~Counter() { __atomic_fetch_add(&ends, work(n), __ATOMIC_SEQ_CST); } };
static thread_local Counter counter;
static pthread_key_t key;
static NOINLINE void key_destructor(void *value)
{
	__atomic_fetch_add(&ends, work((long)value), __ATOMIC_SEQ_CST);
}
__attribute__((constructor(101))) static void early() { work(5); }
__attribute__((destructor(101))) static void late() { printf("late %ld\n", work(6)); }

int main()
{
	static Noisy inside("inside");
	pthread_key_create(&key, key_destructor);
	for (int i = 0; i < 100; i++)
		std::thread([] { counter.n++; pthread_setspecific(key, (void *)10); work(0); }).join();
	atexit([] { printf("atexit %ld\n", work(7)); });
	printf("thread ends %ld\n", ends);
	return 0;
}
