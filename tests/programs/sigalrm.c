/* SPDX-License-Identifier: MIT */
/*
 * A timer every 200 us whose handler is traced, while traced functions run.
 * Arguments: main (handler on the same stack), alt (sigaltstack), jump (it may siglongjmp out); how many signals (1500).
 */
#include "t.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t hits, jumps, may_jump;
static int enough = 1500;
static sigjmp_buf again;
static volatile long scratch;

NOINLINE long inner(long x) { KEEP(); return x + 1; }
NOINLINE long middle(long x) { long r = inner(x); KEEP(); return inner(r); }
NOINLINE void handler(int number)
{
	(void)number;
	hits++;
	scratch = middle(scratch);
	if (may_jump && hits % 3 == 0) {
		jumps++;
		siglongjmp(again, 1);
	}
}

NOINLINE long fib(int n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(int argc, char **argv)
{
	int alt = argc > 1 && !strcmp(argv[1], "alt");
	int jump = argc > 1 && !strcmp(argv[1], "jump");
	struct sigaction action = { .sa_handler = handler, .sa_flags = alt ? SA_ONSTACK : 0 };
	struct itimerval every = { { 0, 200 }, { 0, 200 } }, never = { { 0, 0 }, { 0, 0 } };
	volatile int rounds = 0;

	if (alt) {
		stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 };

		CHECK(sigaltstack(&stack, NULL) == 0);
	}
	if (argc > 2)
		enough = atoi(argv[2]);
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	may_jump = jump;
	if (sigsetjmp(again, 1) != 0)
		rounds++;
	CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
	while (hits < enough)
		CHECK(fib(12) == 144);
	may_jump = 0;
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
	/* Where the next signal is due already it comes as siglongjmp() allows it, and may jump before it has arrived here. */
	if (jump)
		CHECK(jumps >= enough / 4 && rounds > 0);
	CHECK(scratch >= 2 * enough);
	printf("ok %ld\n", fib(20));
	return 0;
}
