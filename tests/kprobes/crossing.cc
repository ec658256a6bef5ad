/* SPDX-License-Identifier: MIT */
/*
 * Functions with probes that are not left by a return: by exceptions that go through them or end there, by longjmp(), by
 * coroutines that go to another stack in the middle. At each instruction of them, one at a time and all at once.
 */
#include <setjmp.h>
#include <stdlib.h>
#include <ucontext.h>

#include <initializer_list>
#include <stdexcept>

#include "crossing.h"
#include "test.h"

int destroyed;

static unsigned long hits, returns;

static int hit(struct kprobe *, struct pt_regs *)
{
	hits++;
	return 0;
}

static void after(struct kprobe *, struct pt_regs *, unsigned long) {}

static int returned(struct kretprobe_instance *, struct pt_regs *)
{
	returns++;
	return 0;
}

/* ---- what happens below ---- */

static jmp_buf out;
static ucontext_t main_context, other;

static int gives(int a) { return a * 3; }
static int throws(int a) { throw a; }
static int throws_other(int a) { throw std::runtime_error(a ? "a" : "b"); }
static int jumps(int) { longjmp(out, 5); }

static int switches(int a)
{
	swapcontext(&other, &main_context);
	return a;
}

typedef int across(int (*down)(int), int a);

/* All ways to leave @f; what came of it as one number. */
__attribute__((noinline)) static long leave(across *f)
{
	volatile long sum = 0;

	destroyed = 0;
	sum = sum * 31 + f(gives, 11);
	for (int e : { 41, 42, 7 }) {
		try {
			sum = sum * 31 + f(throws, e);
		} catch (int got) {
			sum = sum * 31 + got + 1000;
		}
	}
	try {
		sum = sum * 31 + f(throws_other, 1);
	} catch (const std::exception &e) {
		sum = sum * 31 + e.what()[0];
	}
	if (!setjmp(out))
		sum = sum * 31 + f(jumps, 3);
	else
		sum = sum * 31 + 77;
	return sum * 31 + destroyed;
}

/* ---- coroutines ---- */

static long in_coroutine;
static across *coroutine_calls;

static void coroutine(void)
{
	for (int i = 0;; i++)
		in_coroutine = in_coroutine * 7 + coroutine_calls(switches, i);
}

/* Goes to and fro between two stacks; both are in @f at times. */
__attribute__((noinline)) static long to_and_fro(across *f)
{
	static char stack[64 * 1024] __attribute__((aligned(16)));
	volatile long sum = 0;

	getcontext(&other);
	other.uc_stack.ss_sp = stack;
	other.uc_stack.ss_size = sizeof(stack);
	other.uc_link = NULL;
	in_coroutine = 0;
	coroutine_calls = f;
	makecontext(&other, coroutine, 0);
	for (int i = 0; i < 4; i++) {
		swapcontext(&main_context, &other);
		sum = sum * 5 + f(gives, i);
	}
	return sum * 31 + in_coroutine;
}

/* ---- probes ---- */

static const struct {
	const char *name;
	across *f;
} functions[] = {
	{ "across_simple", across_simple }, { "across_cleans", across_cleans },
	{ "across_catches", across_catches }, { "across_tail", across_tail },
	/* Where exceptions end or are thrown on. */
	{ "across_cleans.cold", across_cleans }, { "across_catches.cold", across_catches },
};

#define MAX_PROBES 128

static void test_function(const char *name, across *f, bool post)
{
	static struct kprobe all[MAX_PROBES];
	long want = leave(f), want_switched = to_and_fro(f);
	unsigned long n = 0, jump = 0, wrong = 0, hit_at = 0;

	for (unsigned int offset = 0; offset < 400 && n < MAX_PROBES; offset++) {
		struct kprobe kp = {};
		kprobe_opcode_t *addr;
		int err;

		kp.symbol_name = name;
		kp.offset = offset;
		kp.pre_handler = hit;
		kp.post_handler = post ? after : NULL;
		err = register_kprobe(&kp);
		if (err == -ERANGE)
			break;
		if (err)
			continue;
		jump += !!(kp.flags & KPROBE_FLAG_OPTIMIZED);
		hits = 0;
		if (leave(f) != want || to_and_fro(f) != want_switched) {
			printf("# %s+%u: another result\n", name, offset);
			wrong++;
		}
		hit_at += hits > 0;
		addr = kp.addr;
		unregister_kprobe(&kp);
		all[n] = {};
		all[n].addr = addr;
		all[n++].pre_handler = hit;
	}
	ok(n >= 3 && hit_at >= 2 && !wrong, "%s: left by exceptions, longjmp and swapcontext, a probe at each instruction%s",
	   name, post ? ", told behind it" : "");
	printf("# %lu probes, %lu by a jump, %lu come to\n", n, jump, hit_at);
	for (unsigned long i = 0; i < n; i++)
		wrong += register_kprobe(&all[i]) != 0;
	hits = 0;
	ok(!wrong && leave(f) == want && to_and_fro(f) == want_switched && hits, "and one at all of them");
	for (unsigned long i = 0; i < n; i++)
		unregister_kprobe(&all[i]);
	ok(leave(f) == want, "and none");
}

/* At entries of functions that are traced: probes of calls and of returns. */
static void test_traced(void)
{
	static const struct {
		const char *name;
		across *f;
	} traced[] = { { "traced_simple", traced_simple }, { "traced_cleans", traced_cleans },
		       { "traced_catches", traced_catches }, { "traced_tail", traced_tail } };

	for (auto &t : traced) {
		long want = leave(t.f), want_switched = to_and_fro(t.f);
		struct kprobe kp = {};
		struct kretprobe ret = {};

		kp.symbol_name = t.name;
		kp.pre_handler = hit;
		ret.kp.symbol_name = t.name;
		ret.handler = returned;
		hits = returns = 0;
		ok(!register_kprobe(&kp) && kp.flags & KPROBE_FLAG_FTRACE && !register_kretprobe(&ret),
		   "%s: a probe at its entry and one at its return", t.name);
		ok(leave(t.f) == want && hits == 6 && returns >= 1 && returns <= 2,
		   "six calls; one returns, or two where one of the exceptions ends there");
		hits = returns = 0;
		ok(to_and_fro(t.f) == want_switched && hits == 8 && returns == 7,
		   "from two stacks by turns: eight calls, the last is not done yet");
		printf("# %lu hits, %lu returns, %lu missed\n", hits, returns, (unsigned long)ret.nmissed);
		unregister_kprobe(&kp);
		unregister_kretprobe(&ret);
	}
}

int main(void)
{
	ftrace_set_log(say);
	for (auto &f : functions)
		for (int post = 0; post < 2; post++)
			test_function(f.name, f.f, post);
	test_traced();
	return tap_done();
}
