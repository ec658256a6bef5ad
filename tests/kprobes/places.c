/* SPDX-License-Identifier: MIT */
/*
 * Probes at instructions of a special kind: endbr at an entry, a jump that is a tail call, a string instruction that signals
 * interrupt, system calls; in code that runs on a signal's stack; and at places where jumps become breakpoints and go
 * while threads run there.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "test.h"

extern char place_landed[], place_tail[], place_copy[], place_copied[], place_call[], place_called[];
int place_add(int a, int b);			/* endbr at its entry, behind which there is a label, place_landed */
int place_jumps(int a, int b);			/* at place_tail jumps to plain_add() */
void *place_memcpy(void *to, const void *from, size_t n);	/* rep movsb at place_copy */
long place_getpid(void);			/* the system call at place_call, place_called behind it */

#ifdef __x86_64__
__asm__(".text\n"
	".globl place_add, place_jumps, place_memcpy, place_getpid\n"
	".globl place_landed, place_tail, place_copy, place_copied, place_call, place_called\n"
	".type place_add, @function\n.type place_jumps, @function\n"
	".type place_memcpy, @function\n.type place_getpid, @function\n"
	"place_add:\n.cfi_startproc\n"
	"endbr64\n"
	"place_landed: lea (%rdi,%rsi), %eax\n"
	"ret\n.cfi_endproc\n.size place_add, . - place_add\n"
	"place_jumps:\n.cfi_startproc\n"
	"inc %edi\n"
	"place_tail: jmp plain_add\n"
	".cfi_endproc\n.size place_jumps, . - place_jumps\n"
	"place_memcpy:\n.cfi_startproc\n"
	"mov %rdi, %rax\nmov %rdx, %rcx\n"
	"place_copy: rep movsb\n"
	"place_copied: mov %rax, %rdx\n"
	"ret\n.cfi_endproc\n.size place_memcpy, . - place_memcpy\n"
	"place_getpid:\n.cfi_startproc\n"
	"mov $39, %eax\n"
	"place_call: syscall\n"
	"place_called: mov %rax, %rdx\nmov %rdx, %rax\n"
	"ret\n.cfi_endproc\n.size place_getpid, . - place_getpid\n");
#else
__asm__(".text\n"
	".globl place_add, place_jumps, place_memcpy, place_getpid\n"
	".globl place_landed, place_tail, place_copy, place_copied, place_call, place_called\n"
	".type place_add, @function\n.type place_jumps, @function\n"
	".type place_memcpy, @function\n.type place_getpid, @function\n"
	"place_add:\n.cfi_startproc\n"
	"endbr32\n"
	"place_landed: mov 4(%esp), %eax\n"
	"add 8(%esp), %eax\n"
	"ret\n.cfi_endproc\n.size place_add, . - place_add\n"
	"place_jumps:\n.cfi_startproc\n"
	"incl 4(%esp)\n"
	"place_tail: jmp plain_add\n"
	".cfi_endproc\n.size place_jumps, . - place_jumps\n"
	"place_memcpy:\n.cfi_startproc\n"
	"push %esi\n.cfi_adjust_cfa_offset 4\npush %edi\n.cfi_adjust_cfa_offset 4\n"
	"mov 12(%esp), %edi\nmov 16(%esp), %esi\nmov 20(%esp), %ecx\nmov %edi, %eax\n"
	"place_copy: rep movsb\n"
	"place_copied: mov %eax, %edx\n"
	"pop %edi\n.cfi_adjust_cfa_offset -4\npop %esi\n.cfi_adjust_cfa_offset -4\n"
	"ret\n.cfi_endproc\n.size place_memcpy, . - place_memcpy\n"
	"place_getpid:\n.cfi_startproc\n"
	"mov $20, %eax\n"
	"place_call: int $0x80\n"
	"place_called: mov %eax, %edx\nmov %edx, %eax\nmov %eax, %eax\n"
	"ret\n.cfi_endproc\n.size place_getpid, . - place_getpid\n");
#endif

static unsigned long hits, posts;

static int hit(struct kprobe *p, struct pt_regs *regs)
{
	__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
	return 0;
}

static void after(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
	__atomic_fetch_add(&posts, 1, __ATOMIC_RELAXED);
}

static struct kprobe at(const void *addr, bool post)
{
	return (struct kprobe){ .addr = (kprobe_opcode_t *)(unsigned long)addr, .pre_handler = hit,
				.post_handler = post ? after : NULL };
}

static bool add_works(void)
{
	return place_add(3, 4) == 7;
}

static bool tail_works(void)
{
	return place_jumps(3, 4) == 8;
}

static char from[1 << 20], to[1 << 20];

static bool copy_works(void)
{
	static unsigned int round;

	memset(from, (int)++round, sizeof(from));
	return place_memcpy(to, from, sizeof(to)) == to && !memcmp(from, to, sizeof(to));
}

static bool call_works(void)
{
	return place_getpid() == getpid();
}

static void check(const char *what, const void *addr, bool (*works)(void))
{
	for (int post = 0; post < 2; post++) {
		struct kprobe kp = at(addr, post);
		int err = register_kprobe(&kp);

		hits = posts = 0;
		ok(!err && works() && works() && hits == 2 && posts == (post ? 2 : 0), "%s%s", what,
		   post ? ", and behind it" : "");
		if (err)
			printf("# %s\n", last_said);
		else
			unregister_kprobe(&kp);
		hits = 0;
		ok(works() && !hits, "and gone");
	}
}

static void test_special(void)
{
	struct kprobe kp;

	check("at endbr", (void *)place_add, add_works);
	check("behind endbr", place_landed, add_works);
	check("a jump to another function", place_tail, tail_works);
	check("a string instruction", place_copy, copy_works);
	check("behind a string instruction", place_copied, copy_works);
	check("behind a system call", place_called, call_works);
	kp = at(place_call, false);
	ok(refused(register_kprobe(&kp), -EOPNOTSUPP, "a system call") && call_works(), "a system call is refused");
}

/* ---- signals ---- */

static volatile sig_atomic_t alarms, wrong_in_handler;
static char own_stack[256 * 1024];

static void on_alarm(int sig)
{
	char here;

	alarms++;
	wrong_in_handler += !add_works() || !tail_works() || !call_works() || plain_switch(4) != 128;
	wrong_in_handler += &here < own_stack || &here > own_stack + sizeof(own_stack);
}

/* They interrupt probed instructions, and their handler, on a stack of its own, meets the same. */
static void test_signals(void)
{
	stack_t stack = { .ss_sp = own_stack, .ss_size = sizeof(own_stack) };
	struct sigaction act = { .sa_handler = on_alarm, .sa_flags = SA_ONSTACK | SA_RESTART };
	struct itimerval t = { { 0, 200 }, { 0, 200 } }, off = { { 0, 0 }, { 0, 0 } };
	static struct kprobe kp[6];
	struct kprobe *list[6];
	bool good = true;

	kp[0] = at((void *)place_add, true);
	kp[1] = at(place_tail, true);
	kp[2] = at(place_copy, true);
	kp[3] = at(place_called, true);
	kp[4] = at(place_copied, false);
	kp[5] = (struct kprobe){ .symbol_name = "plain_switch", .pre_handler = hit };
	for (int i = 0; i < 6; i++)
		list[i] = &kp[i];
	good = !register_kprobes(list, 6);
	hits = posts = 0;
	sigaltstack(&stack, NULL);
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
	for (int i = 0; good && (i < 200 || alarms < 50) && i < 100000; i++)
		good = copy_works() && add_works() && tail_works() && call_works() && plain_switch(4) == 128;
	setitimer(ITIMER_REAL, &off, NULL);
	ok(good && alarms >= 50 && !wrong_in_handler && hits > 1000 && posts > 800,
	   "signals interrupt probed instructions; their handler, on a stack of its own, meets them, too");
	printf("# %d signals, %lu hits, %lu behind, %d wrong\n", (int)alarms, hits, posts, (int)wrong_in_handler);
	unregister_kprobes(list, 6);
}

/* ---- jumps become breakpoints, and go, while threads run there ---- */

static bool stop;

static void *runner(void *arg)
{
	unsigned long want = plain_leaf(4711), *rounds = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (plain_leaf(4711) != want)
			abort();
		__atomic_fetch_add(rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Offsets in plain_leaf: of a probe that is a jump, and of another among the bytes that it covers. */
static bool find_pair(unsigned int *outer, unsigned int *inner)
{
	for (*outer = 0; *outer < 200; ++*outer) {
		struct kprobe a = { .symbol_name = "plain_leaf", .offset = *outer, .pre_handler = hit };
		bool jump;

		if (register_kprobe(&a))
			continue;
		jump = a.flags & KPROBE_FLAG_OPTIMIZED;
		for (*inner = *outer + 1; jump && *inner < *outer + 5; ++*inner) {
			struct kprobe b = { .symbol_name = "plain_leaf", .offset = *inner, .pre_handler = hit };

			if (register_kprobe(&b))
				continue;
			jump = a.flags & KPROBE_FLAG_OPTIMIZED;
			unregister_kprobe(&b);
			if (jump)
				break;
			unregister_kprobe(&a);
			return true;
		}
		unregister_kprobe(&a);
	}
	return false;
}

/* Is it met, by a thread that runs by and by? */
static bool is_met(void)
{
	unsigned long before = __atomic_load_n(&hits, __ATOMIC_RELAXED);

	for (int i = 0; i < 300000 && __atomic_load_n(&hits, __ATOMIC_RELAXED) == before; i++)
		usleep(100);
	return __atomic_load_n(&hits, __ATOMIC_RELAXED) != before;
}

static void test_transitions(void)
{
	static unsigned long rounds[3];
	unsigned int outer = 0, inner = 0, jumps = 0, breakpoints = 0;
	struct kprobe *a = calloc(2, sizeof(*a)), *b = a + 1;	/* not on the stack: see fidelity.c */
	pthread_t thread[3];
	bool good = true;

	if (!ok(find_pair(&outer, &inner), "a jump, and a probe among the bytes that it covers"))
		return;
	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, runner, &rounds[i]);
	for (int round = 0; round < 60 && good; round++) {
		unsigned long before;

		*a = (struct kprobe){ .symbol_name = "plain_leaf", .offset = outer, .pre_handler = hit };
		*b = (struct kprobe){ .symbol_name = "plain_leaf", .offset = inner, .pre_handler = hit };
		good = !register_kprobe(a) && is_met();
		jumps += !!(a->flags & KPROBE_FLAG_OPTIMIZED);
		good = good && !register_kprobe(b) && is_met();		/* the jump becomes a breakpoint */
		breakpoints += !(a->flags & KPROBE_FLAG_OPTIMIZED);
		good = good && !disable_kprobe(b) && is_met();
		if (round % 2)			/* a breakpoint goes, and a jump comes */
			good = good && !disable_kprobe(a) && !enable_kprobe(a) && is_met();
		unregister_kprobe(round % 3 ? a : b);
		unregister_kprobe(round % 3 ? b : a);
		before = __atomic_load_n(&hits, __ATOMIC_RELAXED);
		for (int i = 0; i < 3; i++) {			/* all have come by */
			unsigned long was = __atomic_load_n(&rounds[i], __ATOMIC_RELAXED);

			while (__atomic_load_n(&rounds[i], __ATOMIC_RELAXED) < was + 2)
				usleep(50);
		}
		good = good && before == __atomic_load_n(&hits, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	ok(good && jumps > 40 && breakpoints > 40,
	   "jumps become breakpoints and go under three threads that run there");
	printf("# +%u and +%u: %u jumps, %u breakpoints of 60; %s\n", outer, inner, jumps, breakpoints, last_said);
	free(a);
}

int main(void)
{
	ftrace_set_log(say);
	test_special();
	test_signals();
	test_transitions();
	return tap_done();
}
