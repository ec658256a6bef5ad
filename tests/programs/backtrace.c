/* SPDX-License-Identifier: MIT */
/*
 * Lists of callers, by backtrace() and by the unwinder's _Unwind_Backtrace(): every function on the way, in order, and
 * nothing else (of a stub, say), in threads and handlers too, also where there is no room for all.
 */
#include "t.h"
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unwind.h>

#define MANY	1500
#define OWN_STACK	8192ul	/* of a handler, beside what the kernel puts there */

static UNTRACED _Unwind_Reason_Code count(struct _Unwind_Context *context, void *n)
{
	(void)context;
	++*(int *)n;
	return _URC_NO_REASON;
}

/* Prints the functions from the top down, those of other objects as dots. */
static UNTRACED void show(const char *what)
{
	static const int sizes[] = { 1, 2, 5, 600 };
	static void *frames[MANY], *some[600];
	int n = backtrace(frames, MANY), unwound = 0;
	char path[4096], self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[length > 0 ? length : 0] = 0;
	printf("%s:", what);
	for (int i = 0; i < n; i++) {
		Dl_info info;

		if (dladdr((char *)frames[i] - 1, &info) && info.dli_sname &&
		    realpath(info.dli_fname, path) && !strcmp(path, self))
			printf(" %s", info.dli_sname);
		else
			printf(" .");
	}
	_Unwind_Backtrace(count, &unwound);
	printf("; %d, unwound %d", n, unwound);
	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		int m = backtrace(some, sizes[k]), same = 1;

		while (same < m && some[same] == frames[same])
			same++;		/* the first is where backtrace() was called */
		printf(", of %d %s", m, same == m ? "the same" : "others");
	}
	printf("\n");
}

NOINLINE void leaf(const char *what) { show(what); KEEP(); }
NOINLINE void three(const char *what) { leaf(what); KEEP(); }
NOINLINE void two(const char *what) { three(what); KEEP(); }
NOINLINE void one(const char *what, int again) { if (again) one(what, again - 1); else two(what); KEEP(); }
NOINLINE void handler(int number) { (void)number; one("handler", 1); KEEP(); }
NOINLINE void tail(const char *what) { two(what); }
void *thread(void *arg) { one(arg, 2); KEEP(); return NULL; }

/* As crash reporters do it: a short list, on a small stack of the handler's own, with nothing below. */
static UNTRACED void on_small_stack(int number)
{
	void *frames[32];
	int n = backtrace(frames, 32);

	(void)number;
	printf("small stack: %d\n", n);
	fflush(stdout);
}

NOINLINE void raise_deep(int again) { if (again) raise_deep(again - 1); else raise(SIGUSR2); KEEP(); }

static UNTRACED void small_stack(void)
{
	unsigned long page = (unsigned long)sysconf(_SC_PAGESIZE), size = OWN_STACK + getauxval(AT_MINSIGSTKSZ);
	struct sigaction action = { .sa_handler = on_small_stack, .sa_flags = SA_ONSTACK };
	stack_t stack;
	char *memory;

	size = (size + page - 1) & -page;
	memory = mmap(NULL, page + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(memory, page, PROT_NONE);
	stack = (stack_t){ .ss_sp = memory + page, .ss_size = size };
	sigaltstack(&stack, NULL);
	sigaction(SIGUSR2, &action, NULL);
	raise_deep(50);
}

int main(void)
{
	pthread_t id;

	one("main", 3);
	one("deep", 700);
	tail("tail");
	pthread_create(&id, NULL, thread, (void *)"thread");
	pthread_join(id, NULL);
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	small_stack();
	return 0;
}
