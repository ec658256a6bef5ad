/* SPDX-License-Identifier: MIT */
/* Breakpoints and what a program does with SIGTRAP and its mask; signals, fork, threads, unwinding. */
#include <execinfo.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static unsigned long hits;

static int hit(struct kprobe *p, struct pt_regs *regs)
{
	__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
	return 0;
}

/* Functions with an indirect jump have breakpoints at every place. */
static struct kprobe kp = { .symbol_name = "plain_switch", .pre_handler = hit };

static volatile int traps, in_handler;

static void on_trap(int sig, siginfo_t *info, void *uc)
{
	traps++;
}

static void on_usr1(int sig)
{
	in_handler += plain_switch(2) == 18;
}

static bool blocks_trap(void)
{
	sigset_t set;

	sigprocmask(SIG_BLOCK, NULL, &set);
	return sigismember(&set, SIGTRAP);
}

static void *blocked_thread(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	return (void *)(long)(plain_switch(2) == 18 && blocks_trap());
}

static void test_masks(void)
{
	struct sigaction act = { .sa_handler = on_usr1 }, old;
	sigset_t all, none, usr1, before;
	pthread_t thread;
	void *good;
	int status;
	pid_t pid;

	sigfillset(&act.sa_mask);
	sigaction(SIGUSR1, &act, NULL);
	sigemptyset(&none);
	ok(!register_kprobe(&kp) && !(kp.flags & KPROBE_FLAG_OPTIMIZED), "a breakpoint");
	hits = 0;
	raise(SIGUSR1);
	ok(in_handler == 1 && hits == 1, "in a handler with a full mask that was there before");
	sigaction(SIGUSR1, NULL, &old);
	ok(sigismember(&old.sa_mask, SIGTRAP), "whose mask is shown as it was set");
	sigaction(SIGUSR1, &act, NULL);
	raise(SIGUSR1);
	ok(in_handler == 2 && hits == 2, "in one that is set now");
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	ok(plain_switch(2) == 18 && hits == 3 && blocks_trap(), "in a thread that blocks all signals");
	ok(!sigismember(&before, SIGTRAP), "which did not before");
	sigprocmask(SIG_SETMASK, &before, NULL);
	ok(!blocks_trap(), "nor does after");
	pthread_create(&thread, NULL, blocked_thread, NULL);
	pthread_join(thread, &good);
	ok(good && hits == 4, "in another thread, by pthread_sigmask");
	kill(getpid(), SIGUSR1);
	sigdelset(&all, SIGUSR1);
	pid = getpid();
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &before);		/* comes in sigsuspend(), however late we are there */
	if (!fork()) {
		usleep(20000);
		kill(pid, SIGUSR1);
		_exit(0);
	}
	sigsuspend(&all);
	sigprocmask(SIG_SETMASK, &before, NULL);
	wait(&status);
	ok(in_handler == 4 && hits == 6, "in a handler under sigsuspend");
	unregister_kprobe(&kp);
}

static void test_own_trap(void)
{
	struct sigaction act = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO }, old;
	sigset_t set;

	sigaction(SIGTRAP, &act, &old);
	ok(old.sa_handler == SIG_DFL, "the program had no handler of SIGTRAP");
	sigaction(SIGTRAP, NULL, &old);
	ok(old.sa_sigaction == on_trap && old.sa_flags & SA_SIGINFO, "and has its own now");
	register_kprobe(&kp);
	hits = 0;
	ok(plain_switch(2) == 18 && hits == 1 && !traps, "it does not see breakpoints of probes");
	raise(SIGTRAP);
	ok(traps == 1, "it sees the signal when it is sent");
	__asm__ volatile("int3");
	ok(traps == 2, "and breakpoints of its own");
	sigemptyset(&set);
	sigaddset(&set, SIGTRAP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGTRAP);
	ok(traps == 2, "blocked, it does not");
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	ok(traps == 3, "until it is unblocked");
	signal(SIGTRAP, SIG_IGN);
	raise(SIGTRAP);
	ok(traps == 3 && plain_switch(2) == 18 && hits == 2, "ignored, probes are met all the same");
	ok(signal(SIGTRAP, SIG_DFL) == SIG_IGN, "signal() tells what was set");
	unregister_kprobe(&kp);
}

static int died_of(void (*func)(void))
{
	int status;

	fflush(stdout);
	if (!fork()) {
		func();
		_exit(0);
	}
	wait(&status);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void own_int3(void)
{
	__asm__ volatile("int3");
}

static void sent(void)
{
	raise(SIGTRAP);
}

static void probed(void)
{
	hits = 0;
	if (plain_switch(2) != 18 || hits != 1)
		_exit(1);
	unregister_kprobe(&kp);
	_exit(plain_switch(2) != 18 || hits != 1 ? 2 : 3);
}

static void test_default(void)
{
	register_kprobe(&kp);
	ok(died_of(own_int3) == SIGTRAP, "a breakpoint of the program's own ends it");
	ok(died_of(sent) == SIGTRAP, "so does the signal");
	ok(died_of(probed) == -3, "a child of fork has the probes, and may unregister them");
	ok(plain_switch(2) == 18, "its parent, too");
	unregister_kprobe(&kp);
}

/* ---- a thread that blocked it before anybody could know ---- */

static int ready[2], go[2];

/* By an instruction of our own. */
static void block_all(const void *set)
{
#ifdef __x86_64__
	register long size __asm__("r10") = 8;
	long nr = SYS_rt_sigprocmask;

	__asm__ volatile("syscall" : "+a"(nr) : "D"(SIG_BLOCK), "S"(set), "d"(0), "r"(size) : "rcx", "r11", "memory");
#else
	long nr = SYS_rt_sigprocmask;

	__asm__ volatile("int $0x80" : "+a"(nr) : "b"(SIG_BLOCK), "c"(set), "d"(0), "S"(8) : "memory");
#endif
}

static void *blocked_before(void *arg)
{
	unsigned long long all[2] = { ~0ull, ~0ull };
	char c = 0;

	block_all(all);				/* past the library */
	write(ready[1], &c, 1);
	read(go[0], &c, 1);
	return NULL;
}

static void test_blocked_before(void)
{
	pthread_t thread;
	char c = 0;

	pipe(ready);
	pipe(go);
	pthread_create(&thread, NULL, blocked_before, NULL);
	read(ready[0], &c, 1);
	ok(refused(register_kprobe(&kp), -EBUSY, "blocks SIGTRAP"),
	   "refused while a thread blocks SIGTRAP that nobody knows of");
	write(go[1], &c, 1);
	pthread_join(thread, NULL);
}

/* ---- masks by system calls, and of threads to be ---- */

static void *by_syscall(void *arg)
{
	unsigned long long all[2] = { ~0ull, ~0ull }, trap[2] = { 1ull << (SIGTRAP - 1), 0 }, old[2] = { 0, 0 }, now;
	bool good;

	good = !syscall(SYS_rt_sigprocmask, SIG_BLOCK, all, old, 8) && !(old[0] & trap[0]) && blocks_trap();
	good = good && plain_switch(2) == 18;
	good = good && !syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now, 8) && now & trap[0];
	/* What was set is read where what was there before is put. */
	good = good && !syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, trap, trap, 8) && trap[0] == now && !blocks_trap();
	good = good && syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8) == -1 && errno == EFAULT &&
	       syscall(SYS_rt_sigprocmask, SIG_BLOCK, all, NULL, 3) == -1 && errno == EINVAL && !blocks_trap();
	return (void *)(long)(good && syscall(SYS_getpid) == getpid());
}

static void *just_runs(void *arg)
{
	return (void *)(long)(plain_switch(2) == 18);
}

static void test_other_masks(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all;
	void *good;

	register_kprobe(&kp);
	hits = 0;
	pthread_create(&thread, NULL, by_syscall, NULL);
	pthread_join(thread, &good);
	ok(good && hits == 1, "in a thread that blocks all signals by syscall()");
	pthread_attr_init(&attr);
	sigfillset(&all);
	pthread_attr_setsigmask_np(&attr, &all);
	pthread_create(&thread, &attr, just_runs, NULL);
	pthread_join(thread, &good);
	ok(good && hits == 2, "in a thread that begins with all of them blocked");
	pthread_attr_destroy(&attr);
	unregister_kprobe(&kp);
}

/* ---- where libc has all signals blocked ---- */

/* At each instruction of functions that begin threads and processes, where a jump fits or not: nobody is killed. */
static void test_libc(void)
{
	static const char *const functions[] = { "start_thread", "clone", "clone3", "pthread_create", "raise" };
	unsigned int jumps = 0, said = 0, others = 0, killed = 0;

	for (unsigned int i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		for (unsigned int offset = 0; offset < 2000; offset++) {
			struct kprobe p = { .symbol_name = functions[i], .offset = offset, .pre_handler = hit };
			pthread_t thread;
			int status, err;

			last_said[0] = 0;
			err = register_kprobe(&p);
			if (err == -ERANGE || err == -ENOENT || err == -EADDRNOTAVAIL)
				break;
			if (err) {
				said += !!strstr(last_said, "all signals blocked");
				continue;
			}
			jumps += !!(p.flags & KPROBE_FLAG_OPTIMIZED);
			others += !(p.flags & KPROBE_FLAG_OPTIMIZED);
			/* A jump is a jump: few of them are tried. */
			if (!(p.flags & KPROBE_FLAG_OPTIMIZED) || jumps % 50 == 1) {
				if (!fork()) {
					pthread_create(&thread, NULL, just_runs, NULL);
					pthread_join(thread, NULL);
					signal(SIGUSR2, SIG_IGN);
					raise(SIGUSR2);
					_exit(0);
				}
				wait(&status);
				killed += status != 0;
			}
			unregister_kprobe(&p);
		}
	ok(said && !others && !killed, "no breakpoint where libc has all signals blocked: refused, where no jump fits");
	printf("# %u jumps, %u refused, %u breakpoints, %u killed\n", jumps, said, others, killed);
}

/* ---- signals at any place, with a timer ---- */

static void on_alarm(int sig)
{
	if (plain_switch(4) != 128)
		abort();
}

static void test_timer(void)
{
	struct kprobe all[3] = {
		{ .symbol_name = "plain_switch", .pre_handler = hit },
		{ .symbol_name = "plain_leaf", .offset = 16, .pre_handler = hit },
		{ .symbol_name = "plain_mix", .pre_handler = hit },
	};
	struct kprobe *list[] = { &all[0], &all[1], &all[2] };
	struct itimerval t = { { 0, 300 }, { 0, 300 } }, off = { { 0, 0 }, { 0, 0 } };
	unsigned long want = plain_corpus(99);
	bool good = true;

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &t, NULL);
	for (int i = 0; i < 150 && good; i++) {
		good = !register_kprobes(list, 3);
		for (int k = 0; k < 30; k++)
			good &= plain_corpus(99) == want;
		unregister_kprobes(list, 3);
	}
	setitimer(ITIMER_REAL, &off, NULL);
	ok(good, "a timer whose handler meets probes, in the middle of others");
	printf("# %s\n", last_said);
}

/* ---- a storm ---- */

static bool stop;

static void *hitter(void *arg)
{
	unsigned long seed = 4711;

	for (unsigned long first = plain_leaf(seed) + (unsigned long)plain_switch(5);
	     !__atomic_load_n(&stop, __ATOMIC_RELAXED);)
		if (plain_leaf(seed) + (unsigned long)plain_switch(5) != first)
			abort();
	return NULL;
}

static void test_storm(void)
{
	pthread_t thread[3];
	static struct kprobe storm[64];
	struct kprobe *list[64];
	unsigned long registered = 0;
	unsigned int n = 0;
	bool good = true;

	for (unsigned int offset = 0; offset < 200 && n < 64; offset++) {
		storm[n] = (struct kprobe){ .symbol_name = offset % 2 ? "plain_leaf" : "plain_switch",
					    .offset = offset / 2, .pre_handler = hit };
		if (!register_kprobe(&storm[n])) {
			unregister_kprobe(&storm[n]);
			n++;
		}
	}
	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, hitter, NULL);
	hits = 0;
	srand(1);
	for (int round = 0; (round < 150 || !hits) && good; round++) {
		unsigned int k = 0;
		unsigned long before;

		for (unsigned int i = 0; i < n; i++)
			if (rand() % 3 == 0)
				list[k++] = &storm[i];
		if (!k)
			continue;
		good = !register_kprobes(list, (int)k);
		if (!good)
			printf("# %s\n", last_said);
		registered += k;
		usleep(100);
		unregister_kprobes(list, (int)k);
		before = hits;
		usleep(50);
		good &= before == hits;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	ok(good && hits, "a storm: probes come and go under three threads that run into them");
	printf("# %u places, %lu probes registered, %lu hits\n", n, registered, hits);
}

/* ---- unwinding ---- */

static void *frames[64];
static int depth;

static int unwind(struct kprobe *p, struct pt_regs *regs)
{
	depth = backtrace(frames, 64);
	return 0;
}

static int corpus_plus(int a)
{
	return (int)plain_corpus((unsigned long)a);
}

/* At each instruction of a function in the middle of the stack, the handler sees its way out. */
static void test_unwind(void)
{
	static const char *const functions[] = { "plain_recurse", "plain_mix", "plain_leaf" };
	int wrong = 0, tried = 0;

	backtrace(frames, 64);
	for (unsigned int i = 0; i < 3; i++)
		for (unsigned int offset = 0; offset < 600; offset++) {
			struct kprobe p = { .symbol_name = functions[i], .offset = offset,
					    .pre_handler = unwind };
			void *main_frame = NULL;

			if (register_kprobe(&p))
				continue;
			depth = 0;
			target_call(corpus_plus, 5);
			for (int k = 0; k < depth; k++)
				if ((char *)frames[k] > (char *)target_call &&
				    (char *)frames[k] < (char *)target_call + 64)
					main_frame = frames[k];
			tried += depth > 0;
			if (depth && !main_frame) {
				wrong++;
				printf("# %s+%u: lost after %d frames\n", functions[i], offset, depth);
			}
			unregister_kprobe(&p);
		}
	ok(tried > 50 && !wrong, "a handler unwinds through the probed function, at %d places", tried);
}

int main(void)
{
	ftrace_set_log(say);
	test_masks();
	test_own_trap();
	test_default();
	test_blocked_before();
	test_other_masks();
	test_libc();
	test_timer();
	test_storm();
	test_unwind();
	return tap_done();
}
