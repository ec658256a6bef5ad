/* SPDX-License-Identifier: MIT */
/*
 * Steps through its own traced calls by the trap flag, instruction by instruction: at every one of them,
 * the trampolines' included, a signal handler runs that calls traced functions itself.
 * Arguments: return (the handler returns), jump (it siglongjmps out, once from every
 * instruction), unwind (it also unwinds the stack, which must reach main), cold and coldjump (a new thread for each
 * instruction of its first traced calls: the handler runs once, and returns or jumps), off (no
 * stepping).
 */
#include "t.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unwind.h>

#define TF	0x100
static int may_jump, may_unwind, cold;
static volatile int stepping;
static long steps, outside, worked, lost;
static volatile long jump_at;
static sigjmp_buf back;
extern char __executable_start, etext;
int main(int argc, char **argv);

NOINLINE long handler_work(long n) { KEEP(); return n + 1; }
NOINLINE long leaf(long n) { KEEP(); return n * 3; }
NOINLINE long tail(long n) { return leaf(n + 1); }
NOINLINE long branch(long n) { long r = leaf(n) + tail(n + 1); KEEP(); return r; }
NOINLINE double mixed(double x, long n) { double r = x * branch(n); KEEP(); return r + 1; }
NOINLINE long top(long n) { long r = (long)mixed(0.5, n) + branch(n); KEEP(); return r; }

struct walk { int frames, found; };
static UNTRACED _Unwind_Reason_Code frame(struct _Unwind_Context *context, void *data)
{
	struct walk *walk = data;
	unsigned long ip = _Unwind_GetIP(context);

	if (ip >= (unsigned long)main && ip < (unsigned long)main + 2048)
		walk->found = 1;
	return ++walk->frames > 60 ? _URC_END_OF_STACK : _URC_NO_REASON;
}

/*
 * Filling up a packet is a loop of thousands of instructions that must be over while the packet's time
 * lasts. What was seen that often in one round runs on at full speed for some microseconds.
 */
static unsigned short seen[1 << 15];

static UNTRACED int too_often(unsigned long ip)
{
	unsigned short *count = &seen[(ip ^ ip >> 15) & 0x7fff];

	if (++*count < 100)
		return 0;
	*count = 0;
	return 1;
}

#ifdef __x86_64__
enum { IP = REG_RIP, AX = REG_RAX };
#else
enum { IP = REG_EIP, AX = REG_EAX };
#endif

/*
 * i386: functions that only tell where they were called from (mov (%esp), %reg; ret), which the
 * compiler's own start files leave in every library, have no unwind table.
 */
static UNTRACED int in_pc_thunk(unsigned long ip)
{
#ifdef __i386__
	const unsigned char *code = (const unsigned char *)ip - (*(const unsigned char *)ip == 0xc3 ? 3 : 0);

	return code[0] == 0x8b && (code[1] & 0xc7) == 0x04 && code[2] == 0x24 && code[3] == 0xc3;
#else
	return ip == 0;
#endif
}

/* At full speed for some microseconds. */
static UNTRACED void run_on(ucontext_t *context)
{
	struct itimerval soon = { { 0, 0 }, { 0, 30 } };

	context->uc_mcontext.gregs[REG_EFL] &= ~TF;
	setitimer(ITIMER_REAL, &soon, NULL);
}

/* The kernel kills where a step ends while SIGTRAP is blocked; nothing else can interrupt there either. */
static UNTRACED int may_block_signals(const ucontext_t *context)
{
	const unsigned char *code = (const unsigned char *)context->uc_mcontext.gregs[IP];

	/* syscall; int $0x80; sysenter */
	return ((code[0] == 0x0f && (code[1] == 0x05 || code[1] == 0x34)) ||
		(code[0] == 0xcd && code[1] == 0x80)) &&
	       context->uc_mcontext.gregs[AX] == SYS_rt_sigprocmask;
}

static UNTRACED void go_on_stepping(int number, siginfo_t *info, void *data)
{
	ucontext_t *context = data;

	(void)number, (void)info;
	if (!stepping || sigismember(&context->uc_sigmask, SIGTRAP))
		return;
	if (may_block_signals(context))
		run_on(context);
	else
		context->uc_mcontext.gregs[REG_EFL] |= TF;
}

static UNTRACED void begin_stepping(void)
{
	memset(seen, 0, sizeof(seen));
	stepping = 1;
	raise(SIGTRAP);
}

static UNTRACED void trap(int number, siginfo_t *info, void *data)
{
	ucontext_t *context = data;
	unsigned long ip = context->uc_mcontext.gregs[IP];

	(void)number, (void)info;
	if (!stepping) {
		context->uc_mcontext.gregs[REG_EFL] &= ~TF;
		return;
	}
	context->uc_mcontext.gregs[REG_EFL] |= TF;
	steps++;
	if (ip < (unsigned long)&__executable_start || ip >= (unsigned long)&etext) {
		outside++;
		if (may_block_signals(context) || (!cold && too_often(ip)))
			run_on(context);
	}
	if (cold && --jump_at > 0)
		return;
	if (cold) {
		stepping = 0;
		context->uc_mcontext.gregs[REG_EFL] &= ~TF;
	}
	if (may_unwind && !in_pc_thunk(ip)) {
		struct walk walk = { 0, 0 };

		_Unwind_Backtrace(frame, &walk);
		if (!walk.found) {
			lost++;
			if (lost < 20)
				fprintf(stderr, "lost at %lx, %ld frames\n", ip, (long)walk.frames);
		}
	}
	worked++;
	if (handler_work(steps) != steps + 1)
		_exit(98);
	if (may_jump && (cold || --jump_at == 0)) {
		stepping = 0;
		siglongjmp(back, 1);
	}
}

/* One thread's first traced calls, interrupted once. Returns 1 when they ended before that. */
static UNTRACED void *cold_thread(void *arg)
{
	sigset_t alarm;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	if (sigsetjmp(back, 1) == 0) {
		jump_at = (long)arg;
		begin_stepping();
		if (top(3) != 37)
			_exit(97);
		if (!stepping)
			return NULL;
		stepping = 0;
		return (void *)1;
	}
	top(4);
	return NULL;
}

UNTRACED int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = trap, .sa_flags = SA_SIGINFO };
	const char *how = argc > 1 ? argv[1] : "return";
	int rounds = 100;
	volatile long sum = 0, jumps = 0, ended = 0;
	volatile int i;

	cold = !strncmp(how, "cold", 4);
	may_jump = !strcmp(how, "jump") || !strcmp(how, "coldjump");
	may_unwind = !strcmp(how, "unwind");
	if (may_unwind)
		rounds = 10;
	CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
	action.sa_sigaction = go_on_stepping;
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	if (!cold) {
		top(0);
		handler_work(0);
	}
	if (cold) {	/* the alarm is for the thread that steps */
		sigset_t alarm;

		sigemptyset(&alarm);
		sigaddset(&alarm, SIGALRM);
		pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	}
	for (long k = 1; cold && ended < 2; k += 1 + k / 100) {
		pthread_t id;
		void *value;

		CHECK(pthread_create(&id, NULL, cold_thread, (void *)k) == 0);
		pthread_join(id, &value);
		ended += value != NULL;
		jumps += may_jump && value == NULL;
	}
	for (i = 0; i < rounds && !may_jump && !cold; i++) {
		if (strcmp(how, "off"))
			begin_stepping();
		sum += top(i);
		stepping = 0;
	}
	/*
	 * From the first instruction, from the second, ... until all of top() ran before the jump; by
	 * larger steps where a change of packets makes it long.
	 */
	for (i = 1; may_jump && !cold && ended < 3; i += i < 600 ? 1 : i / 100) {
		jump_at = i;
		if (sigsetjmp(back, 1) == 0) {
			begin_stepping();
			top(i);
			stepping = 0;
			KEEP();
			ended++;
		} else {
			jumps++;
		}
	}
	if (!may_jump && !cold)
		printf("sum %ld\n", sum);
	printf("stepped %s jumped %s lost %ld\n", steps > 1000 ? "yes" : "no", jumps > 60 ? "yes" : "no",
	       lost);
	fprintf(stderr, "steps %ld outside the program %ld worked %ld jumps %ld\n", steps, outside,
		worked, jumps);
	return lost != 0;
}
