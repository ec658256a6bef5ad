// SPDX-License-Identifier: MIT
//
// Everything that leaves frames without returning from them, through traced calls.
#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <exception>
#include <execinfo.h>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <ucontext.h>
#include <unistd.h>

#include "stubs.h"
#include "tap.h"

static bool llvm;
static std::atomic<long> destroyed;
static volatile long sink;

struct guard {
	TRACED ~guard()
	{
		destroyed++;
	}
};

// ---- exceptions

TRACED int deep(int n)
{
	guard g;

	if (!n)
		throw std::runtime_error("bottom");
	int r = deep(n - 1);
	asm volatile("");
	return r + 1;
}

TRACED int rethrower(int n)
{
	try {
		return deep(n) + 1;
	} catch (std::runtime_error &) {
		sink++;
		throw;
	}
}

TRACED int translator(int n)
{
	try {
		return rethrower(n);
	} catch (std::exception &e) {
		throw std::string(e.what());
	}
}

static void exceptions()
{
	int caught = 0;
	long before = destroyed;

	for (int i = 0; i < 1000; i++) {
		try {
			translator(20);
		} catch (std::string &s) {
			caught += s == "bottom";
		}
	}
	ok(caught == 1000 && destroyed - before == 21000,
	   "nested throw, rethrow, another type: %d caught, %ld destroyed", caught,
	   destroyed - before);
}

TRACED int thrower(int x)
{
	if (x)
		throw x;
	return 1;
}

TRACED int tail_thrower(int x)		// a jump from traced to traced
{
	return thrower(x + 1);
}

TRACED int middle(int x)			// destructors here only
{
	guard g;
	int r = tail_thrower(x);

	asm volatile("");
	return r;
}

TRACED int catcher(int x)
{
	try {
		return middle(x);
	} catch (int v) {
		return -v;
	}
}

static void tail_calls()
{
	long before = destroyed, sum = 0;

	for (int i = 0; i < 1000; i++)
		sum += catcher(i);
	ok(sum == -500500 && destroyed - before == 1000,
	   "thrown by a tail-called function: sum %ld, %ld destroyed", sum, destroyed - before);
}

static void *throw_in_thread(void *arg)
{
	long caught = 0;

	for (int i = 0; i < 1000; i++) {
		try {
			deep(5 + i % 7);
		} catch (std::runtime_error &) {
			caught++;
		}
		caught += catcher(i) == -(i + 1);
	}
	try {
		std::rethrow_exception(*static_cast<std::exception_ptr *>(arg));
	} catch (std::runtime_error &) {
		caught++;
	}
	return (void *)caught;
}

static void threads()
{
	std::exception_ptr carried;
	pthread_t t[4];
	long sum = 0;

	try {
		deep(3);
	} catch (...) {
		carried = std::current_exception();
	}
	for (auto &th : t)
		pthread_create(&th, nullptr, throw_in_thread, &carried);
	for (auto &th : t) {
		void *r;

		pthread_join(th, &r);
		sum += (long)r;
	}
	ok(sum == 4 * 2001, "four threads throwing at once: %ld caught", sum);
}

// ---- an exception out of a signal handler, from the middle of a traced function

static void on_segv(int)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigprocmask(SIG_UNBLOCK, &set, nullptr);
	thrower(41);
}

TRACED int toucher(volatile int *p)
{
	guard g;

	return *p;
}

static void from_signal()
{
#ifdef __clang__
	ok(true, "thrown by a signal handler # SKIP clang has no -fnon-call-exceptions");
	return;
#endif
	struct sigaction sa, old;
	int caught = 0;
	long before = destroyed;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_segv;
	sigaction(SIGSEGV, &sa, &old);
	for (int i = 0; i < 100; i++) {
		try {
			toucher((volatile int *)8);
		} catch (int v) {
			caught += v == 41;
		}
	}
	sigaction(SIGSEGV, &old, nullptr);
	ok(caught == 100 && destroyed - before == 100,
	   "thrown by a signal handler: %d caught, %ld destroyed", caught, destroyed - before);
}

// ---- threads that end in the depths

static std::atomic<int> waiting;

TRACED void wait_for_ever()
{
	guard g;

	waiting = 1;
	for (;;)
		pause();
}

TRACED void *cancelled(void *)
{
	guard g;

	wait_for_ever();
	return nullptr;
}

TRACED void leave()
{
	guard g;

	pthread_exit((void *)5);
}

TRACED void *leaver(void *)
{
	guard g;

	leave();
	return nullptr;
}

static void thread_ends()
{
	const char *why = "glibc unwinds a thread with libgcc_s, and C++ personalities of LLVM's "
			  "runtime do not understand its contexts";
	long before = destroyed;
	int good = 0;

	if (llvm) {
		ok(true, "pthread_cancel, pthread_exit # SKIP %s", why);
		return;
	}
	for (int i = 0; i < 50; i++) {
		pthread_t t;
		void *r;

		waiting = 0;
		pthread_create(&t, nullptr, cancelled, nullptr);
		while (!waiting)
			usleep(50);
		pthread_cancel(t);
		pthread_join(t, &r);
		good += r == PTHREAD_CANCELED;
		pthread_create(&t, nullptr, leaver, nullptr);
		pthread_join(t, &r);
		good += r == (void *)5;
	}
	ok(good == 100 && destroyed - before == 200,
	   "pthread_cancel, pthread_exit: %d ended so, %ld destroyed", good, destroyed - before);
}

// ---- backtrace()

static void *stack[64];
static int depth;

TRACED void take_backtrace()
{
	depth = backtrace(stack, 64);
	asm volatile("");
}

TRACED void via_b(int n)
{
	if (n)
		via_b(n - 1);
	else
		take_backtrace();
	asm volatile("");
}

TRACED void via_a()
{
	via_b(3);
	asm volatile("");
}

static void backtraces()
{
	// What backtrace_symbols needs is -rdynamic; functions are told by their addresses.
	static void *const expected[] = {(void *)take_backtrace, (void *)via_b, (void *)via_b,
					 (void *)via_b, (void *)via_b, (void *)via_a};
	size_t found = 0;
	int stubs = 0;

	via_a();
	for (int i = 0; i < depth; i++) {
		if (stub_offset((unsigned long)stack[i]) >= 0)
			stubs++;
		else if (found < sizeof(expected) / sizeof(expected[0]) &&
			 (char *)stack[i] > (char *)expected[found] &&
			 (char *)stack[i] < (char *)expected[found] + 96)
			found++;
	}
	ok(found == 6, "backtrace() has all six callers in order: %zu", found);
	// The static library does not stand in for backtrace().
	ok(stubs == (stubs_hook && getenv("STUBS_SHOWN") ? 6 : 0), "and none of their stubs: %d", stubs);
}

// ---- jumps

static jmp_buf jump;

TRACED int long_jumper(int n)
{
	int r = n;

	if (n)
		r = long_jumper(n - 1);
	else if (sink >= 0)
		longjmp(jump, 7);
	asm volatile("");
	return r + 1;
}

static void jumps()
{
	static volatile int good;

	for (volatile int i = 0; i < 100; i = i + 1) {
		if (setjmp(jump) == 0)
			long_jumper(30);
		else
			good = good + 1;
		good = good + (catcher(1) == -2);	// the stubs of frames left behind do no harm
	}
	ok(good == 200, "longjmp from the depths, exceptions after it: %d", good);
}

static ucontext_t main_context, coroutine_context;
static int coroutine_caught;

TRACED void yield()
{
	swapcontext(&coroutine_context, &main_context);
}

TRACED void coroutine()
{
	for (int i = 0; i < 50; i++) {
		yield();
		try {
			deep(4);
		} catch (std::runtime_error &) {
			coroutine_caught++;
		}
	}
}

static void coroutines()
{
	size_t size = 256 << 10;
	void *s = malloc(size);

	getcontext(&coroutine_context);
	coroutine_context.uc_stack.ss_sp = s;
	coroutine_context.uc_stack.ss_size = size;
	coroutine_context.uc_link = &main_context;
	makecontext(&coroutine_context, coroutine, 0);
	for (int i = 0; i < 51; i++) {
		swapcontext(&main_context, &coroutine_context);
		catcher(i);
	}
	free(s);
	ok(coroutine_caught == 50, "exceptions in a coroutine on the heap: %d", coroutine_caught);
}

int main()
{
	llvm = dlsym(RTLD_DEFAULT, "__unw_add_dynamic_fde");
	printf("# unwinder: %s\n", llvm ? "LLVM libunwind" : "libgcc");
	stubs_start();
	exceptions();
	tail_calls();
	threads();
	from_signal();
	thread_ends();
	backtraces();
	jumps();
	coroutines();
	return tap_done();
}
