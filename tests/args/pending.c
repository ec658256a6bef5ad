/* SPDX-License-Identifier: MIT */
/* A function that returns a long double while an x87 exception is pending: the caller's next instruction raises it. */
#define _GNU_SOURCE
#include <fenv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

extern char __executable_start[], etext[];

static void on_fpe(int number, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;
	unsigned long ip = (unsigned long)uc->uc_mcontext.gregs[REG_RIP];

	(void)number;
	(void)info;
	printf("raised in %s\n", ip >= (unsigned long)__executable_start && ip < (unsigned long)etext ?
	       "the program" : "a library");
	exit(0);
}

__attribute__((noinline)) long double divides(void)
{
	long double quotient;

	__asm__ volatile("fld1\n\tfldz\n\tfdivrp %%st, %%st(1)" : "=t"(quotient));
	return quotient;
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = on_fpe, .sa_flags = SA_SIGINFO };
	volatile long double result;

	sigaction(SIGFPE, &action, NULL);
	feenableexcept(FE_DIVBYZERO);
	result = divides();
	printf("not raised: %Lg\n", result);
	return 1;
}
