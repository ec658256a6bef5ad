/* SPDX-License-Identifier: MIT */
/*
 * What is patched: answers a line of output to each line of input.
 *
 *	ask		what all functions and variables say now
 *	block		start a thread that waits in blocked() until
 *	wake		and tells what it has returned
 *	load N		start N threads that call outer(), which calls inner(): both of one version?
 *	mixed		how many calls were not; how many were
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOIPA __attribute__((noipa))

int twin_other(void);
int count_other(void);

static volatile int secret = 42;
int shown = 7;
static __thread volatile int mine = 5;

static NOIPA int helper(int x)
{
	return x + secret;
}

NOIPA int answer(int x)
{
	return helper(x) + shown;
}

static NOIPA int twin(void)
{
	return 1;
}

static NOIPA int count(void)
{
	static volatile int calls;

	return ++calls;
}

static int pipes[2];

NOIPA int blocked(void)
{
	char c;

	return read(pipes[0], &c, 1) == 1 ? 100 : -1;
}

/* inner() is told the version that outer() is of, and tells whether it is the same. */
static unsigned long mixed, calls;
static NOIPA int inner(int version)
{
	return version == 1;
}

static NOIPA int outer(void)
{
	return inner(1);
}

static void *load(void *arg)
{
	for (;;) {
		if (!outer())
			__atomic_fetch_add(&mixed, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
	}
	return arg;
}

static volatile int blocked_tid;

static void *block(void *arg)
{
	blocked_tid = (int)syscall(SYS_gettid);
	*(int *)arg = blocked();
	return NULL;
}

/* Until the thread is in its read(), or over where blocked() is another. */
static void wait_until_blocked(void)
{
	char path[64], line[64];
	FILE *f;

	for (;; usleep(1000)) {
		snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", blocked_tid);
		f = blocked_tid ? fopen(path, "r") : NULL;
		if (blocked_tid && !f)
			return;
		if (f && !fgets(line, sizeof(line), f))
			line[0] = 0;
		if (f)
			fclose(f);
		if (f && line[0] >= '0' && line[0] <= '9' && atoi(line) == SYS_read)
			return;
	}
}

#ifdef NO_MEMFD		/* what to do with memfd_create(): SECCOMP_RET_... */
static void forbid_memfd(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, NO_MEMFD),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		abort();
}
#else
static void forbid_memfd(void)
{
}
#endif

int main(void)
{
	static int result;
	pthread_t thread, other;
	char line[256];

	forbid_memfd();
	if (pipe(pipes))
		return 1;
	mine++;
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (!strcmp(line, "ask")) {
			printf("answer=%d twin=%d other=%d count=%d other=%d\n", answer(1000), twin(),
			       twin_other(), count(), count_other());
		} else if (!strcmp(line, "block")) {
			blocked_tid = 0;
			pthread_create(&thread, NULL, block, &result);
			wait_until_blocked();
			puts("blocked");
		} else if (!strcmp(line, "wake")) {
			if (write(pipes[1], "", 1) != 1)
				return 1;
			pthread_join(thread, NULL);
			printf("%d\n", result);
		} else if (!strncmp(line, "load ", 5)) {
			for (int i = atoi(line + 5); i > 0; i--)
				pthread_create(&other, NULL, load, NULL);
			puts("loaded");
		} else if (!strcmp(line, "mixed")) {
			printf("%lu %lu\n", __atomic_load_n(&mixed, __ATOMIC_RELAXED),
			       __atomic_exchange_n(&calls, 0, __ATOMIC_RELAXED));
		} else {
			puts("what?");
		}
		fflush(stdout);
	}
	return 0;
}
