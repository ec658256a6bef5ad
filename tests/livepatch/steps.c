/* SPDX-License-Identifier: MIT */
/*
 * A thread is stopped at every instruction of calls of functions that are changed together, one after the other
 * (by the trap flag), and while it stands there a transition begins, is turned round, or goes on. Whatever
 * was done, the call must be of one version from its begin to its end.
 *
 * Of the long ways through the library some instructions are taken, others each time; FTRACE_KLP_STEPS=all: all. That
 * takes up to ten minutes a phase; an argument, 1 to 6, is the one that is wanted, another the first step where it
 * takes longer than that.
 */
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <ucontext.h>

#include "chain-patch.h"

#define TF 0x100
#ifdef __x86_64__
#define IP REG_RIP
#else
#define IP REG_EIP
#endif

/* ---- the thread that makes the calls ---- */

/* What it is to do, and how far it is. */
enum state { IDLE, CALL, PAUSED, GO_ON, DONE, QUIT };
static volatile enum state state;

static unsigned long call_how;
static long pause_at;			/* the step at which it stops */
static unsigned long pause_at_ip;	/* in a call before that one, where it stops first; 0: no such call */
static int result, result_before;

static volatile bool stepping;
static long steps;
static unsigned long paused_ip;

static void wait_for(enum state a, enum state b)
{
	while (state != a && state != b)
		usleep(20);
}

static unsigned long seed = 1;

static unsigned long any(unsigned long n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

/* Where the library is, and libc, of whose raise() and such nobody wants to know. */
struct text {
	unsigned long lo, hi;
};
static struct text library, loader, libc;
static unsigned long stride = 1, phase_of, in_library;

static int find_text(struct dl_phdr_info *info, size_t size, void *data)
{
	struct text *t = strstr(info->dlpi_name, "/libftrace.so") ? &library :
			 strstr(info->dlpi_name, "/ld-linux") ? &loader :
			 strstr(info->dlpi_name, "/libc.so") ? &libc : NULL;

	for (int i = 0; t && i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
			t->lo = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
			t->hi = t->lo + info->dlpi_phdr[i].p_memsz;
		}
	return 0;
}

static bool is_in(const struct text *t, unsigned long ip)
{
	return ip - t->lo < t->hi - t->lo;
}

static bool counts(unsigned long ip)
{
	if (is_in(&libc, ip))
		return false;
	return (!is_in(&library, ip) && !is_in(&loader, ip)) || ++in_library % stride == phase_of;
}

static void trap(int sig, siginfo_t *info, void *data)
{
	ucontext_t *context = data;
	greg_t *regs = context->uc_mcontext.gregs;
	unsigned long ip = (unsigned long)regs[IP];

	regs[REG_EFL] &= ~TF;
	if (!stepping)
		return;
	regs[REG_EFL] |= TF;
	if (pause_at_ip ? ip != pause_at_ip : !counts(ip) || ++steps != pause_at)
		return;
	paused_ip = ip;
	state = PAUSED;
	wait_for(GO_ON, GO_ON);
	stepping = false;
	regs[REG_EFL] &= ~TF;
}

static int step_through(unsigned long how)
{
	int got;

	steps = in_library = 0;
	stepping = true;
	raise(SIGTRAP);
	got = chain_call(how);
	stepping = false;
	return got;
}

static void *stepper(void *arg)
{
	for (;;) {
		wait_for(CALL, QUIT);
		if (state == QUIT)
			return NULL;
		result_before = 0;
		if (pause_at_ip) {
			result_before = step_through(call_how);
			pause_at_ip = 0;
		}
		result = step_through(call_how);
		state = DONE;
	}
}

/* Let it make its call. True: it stands at step number @at. */
static bool call_until(unsigned long how, long at)
{
	call_how = how;
	pause_at = at;
	phase_of = any(stride);
	state = CALL;
	wait_for(PAUSED, DONE);
	return state == PAUSED;
}

static void go_on(void)
{
	state = GO_ON;
	wait_for(PAUSED, DONE);
}

static void finish(void)
{
	if (state == PAUSED)
		go_on();
	state = IDLE;
}

/* ---- the one that does things meanwhile ---- */

/*
 * What ends a transition waits for those who are in the library, and one of them may just stand
 * there: so it is given some time, and then the other goes on.
 */
static void (*volatile action)(void);
static volatile bool no_more;

static void *actor(void *arg)
{
	while (!no_more) {
		if (action) {
			action();
			__atomic_store_n(&action, NULL, __ATOMIC_RELEASE);
		}
		usleep(20);
	}
	return NULL;
}

static void meanwhile(void (*func)(void))
{
	__atomic_store_n(&action, func, __ATOMIC_RELEASE);
	for (int i = 0; i < 100 && action; i++)
		usleep(50);
	if (state == PAUSED)
		go_on();
	while (__atomic_load_n(&action, __ATOMIC_ACQUIRE))
		usleep(50);
}

/* ---- one that holds a transition up ---- */

static int hold_pipe[2];
static volatile int holder_tid;

static void *holder(void *arg)
{
	holder_tid = (int)syscall(SYS_gettid);
	chain_wait(hold_pipe[0]);
	return NULL;
}

static pthread_t hold(void)
{
	pthread_t t;

	holder_tid = 0;
	if (pthread_create(&t, NULL, holder, NULL))
		abort();
	while (!holder_tid || !reads(holder_tid))
		usleep(1000);
	return t;
}

static void let_go(pthread_t t)
{
	if (write(hold_pipe[1], "x", 1) != 1)
		abort();
	pthread_join(t, NULL);
}

/* ---- what is done to it ---- */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static long first = 1;			/* step of the longer ones to begin with */

/* Of the longer ones, when to be content with what there was: the machine may be busy. */
static double enough;

static long mixed, failed, stops;

/* A call is over whose version may be @a or @b. */
static void check(const char *what, int got, int a, int b, long at)
{
	if ((got == a || got == b) && !chain_mixed)
		return;
	if (mixed++ < 10)
		printf("# %s: a call of kind %lu that stood at step %ld, %#lx, gave %d\n", what,
		       call_how % CHAIN_CALLS, at, paused_ip, got);
	chain_mixed = 0;
}

static void must(const char *what, int err)
{
	if (!err)
		return;
	if (failed++ < 10) {
		printf("# %s: %d\n", what, err);
		print_holders();
	}
}

/* Looks that leave a thread behind are no mistake. */
static void work(void)
{
	int left = klp_transition_work();

	must("a look", left < 0 && left != -EAGAIN ? left : 0);
}

static void turn(void)
{
	struct klp_transition t;

	/* Nobody may be left, who stood outside of all of it. */
	klp_transition_status(&t, NULL, NULL);
	if (t.patch)
		must("turn", klp_reverse_transition());
}

static void turn_and_work(void)
{
	turn();
	work();
}

static void turn_twice(void)
{
	turn();
	turn();
	work();
}

static bool way;

static void begin(void)
{
	must("begin", way ? klp_enable_patch(&chain_patch) : klp_disable_patch(&chain_patch));
	work();
}

/* It begins while the thread stands in a call. */
static void begins(bool enabling)
{
	int from = enabling ? 1 : 2;

	way = enabling;

	for (unsigned long how = 0; how < CHAIN_CALLS; how++)
		for (long at = 1; call_until(how, at); at++, stops++) {
			meanwhile(begin);
			/* Whoever stood before the call, or behind it, may have gone over. */
			check(enabling ? "enabling" : "disabling", result, from, 3 - from, at);
			finish();
			must("end", klp_wait_transition(LONG));
			must("back", enabling ? disable(&chain_patch) : enable(&chain_patch));
		}
	finish();
}

/* It is turned round while the thread stands in a call; @times times. */
static void turned_round(int times)
{
	pthread_t t = hold();
	unsigned long how = 0;

	for (long at = first; now() < enough || stops <= 10; at++, how++, stops++) {
		must("begin", klp_enable_patch(&chain_patch));
		if (!call_until(how, at))
			break;
		meanwhile(times == 1 ? turn_and_work : turn_twice);
		check("turned round", result, 1, 2, at);
		finish();
		if (times == 2)
			turn();
		must("end", klp_wait_transition(LONG));
		if (klp_is_enabled(&chain_patch))
			must("back", -1);
	}
	finish();
	turn();
	must("last", klp_wait_transition(LONG));
	let_go(t);
}

/*
 * It has not gone over when the call begins, as the call before it was under way at the last look; so
 * it looks at its own stack. Stopped while it does, others look at it, and turn the transition round.
 */
static void by_itself(bool enabling)
{
	unsigned long how = 0;

	way = enabling;
	for (long at = first; now() < enough || stops <= 10; at++, how++, stops++) {
		int from = enabling ? 1 : 2;
		bool paused;

		pause_at_ip = (unsigned long)chain_inner;
		if (!call_until(how, at)) {
			must("no stop", 1);
			break;
		}
		/* Not in the library yet: it ends in no time. */
		begin();
		go_on();
		paused = state == PAUSED;
		if (paused)
			meanwhile((void (*const [])(void)){ turn_and_work, turn_twice, work,
							    work }[any(4)]);
		finish();
		check("by itself, before", result_before, from, from, at);
		check("by itself", result, 1, 2, at);
		must("end", klp_wait_transition(LONG));
		if (klp_is_enabled(&chain_patch) == enabling)
			must("back", enabling ? disable(&chain_patch) : enable(&chain_patch));
		if (!paused)
			break;
	}
}

static long only, phases;		/* the number of the phase that is wanted, 0: all */

static void phase(const char *what, unsigned long one_of, void (*func)(bool), bool arg)
{
	const char *env = getenv("FTRACE_KLP_STEPS");
	double begin = now();

	if (++phases != only && only)
		return;
	stride = env && !strcmp(env, "all") ? 1 : one_of;
	mixed = failed = stops = 0;
	enough = begin + (stride == 1 ? 560 : 6);
	func(arg);
	ok(!mixed && !failed && stops > 10, "%s: stopped at %ld instructions, no mixed call (%ld), no "
	   "failure (%ld), %.1f s", what, stops, mixed, failed, now() - begin);
}

static void turned_once(bool unused)
{
	turned_round(1);
}

static void turned_twice(bool unused)
{
	turned_round(2);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_sigaction = trap, .sa_flags = SA_SIGINFO | SA_NODEFER };
	pthread_t t, other;

	only = argc > 1 ? atol(argv[1]) : 0;
	first = argc > 2 ? atol(argv[2]) : 1;
	ftrace_set_log(say);
	dl_iterate_phdr(find_text, NULL);
	sigaction(SIGTRAP, &sa, NULL);
	if (pipe(hold_pipe) || pthread_create(&t, NULL, stepper, NULL) ||
	    pthread_create(&other, NULL, actor, NULL))
		abort();
	must("warming up", enable(&chain_patch) ?: disable(&chain_patch));
	phase("enabled in the middle of calls", 31, begins, true);
	must("enable", enable(&chain_patch));
	phase("disabled in the middle of calls", 31, begins, false);
	phase("threads that look at their own stack, disabling", 41, by_itself, false);
	must("disable", disable(&chain_patch));
	phase("threads that look at their own stack, enabling", 41, by_itself, true);
	phase("turned round in the middle of calls", 31, turned_once, false);
	phase("turned round twice", 31, turned_twice, false);
	state = QUIT;
	no_more = true;
	pthread_join(t, NULL);
	pthread_join(other, NULL);
	return tap_done();
}
