/* SPDX-License-Identifier: MIT */
/*
 * Calls with known values. Arguments: nothing, or one of
 *	fork		a child that makes calls of its own
 *	threads		four threads
 *	kill		kills itself in the middle
 *	many N		N calls of add()
 *	vfork		calls in a child of vfork
 *	seccomp		forbids itself everything but write and exit, and goes on
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#define KEEP() __asm__ volatile("")

struct inner {
	uint16_t numbers[4];
	const char *names[3];
};

struct outer {
	int32_t minus;
	uint8_t small;
	char letter;
	uint16_t bits;		/* 0xa5c3 */
	struct inner *inner;
	const char *name;
	double real;
	float single;
};

/* libc++'s std::string, as its ABI has it on little-endian machines. */
union string {
	struct { unsigned long capacity, length; const char *text; } far;	/* its capacity is odd */
	struct { unsigned char twice; char text[3 * sizeof(long) - 1]; } near;
};

uint64_t global = 0x1122334455667788;
char word[] = "a word";
const char *pointed = "pointed at";

NOINLINE long add(long a, long b) { KEEP(); return a + b; }
NOINLINE int show(const char *s, int n) { KEEP(); return s ? n : -1; }
NOINLINE int look(struct outer *o) { KEEP(); return o->minus; }
NOINLINE double scale(double x, float f) { KEEP(); return x * f; }
NOINLINE float halve(float f) { KEEP(); return f / 2; }
NOINLINE long eight(long a, long b, long c, long d, long e, long f, long g, long h)
{
	KEEP();
	return a + b + c + d + e + f + g + h;
}
NOINLINE void *function(void *p) { KEEP(); return p; }
NOINLINE int string(const union string *s, int n) { KEEP(); return s ? n : -1; }
NOINLINE long fill(char *buf, long n) { memset(buf, 'z', n - 1); buf[n - 1] = 0; KEEP(); return n; }
NOINLINE long inside(long n) { long r = add(n, 1); KEEP(); return r * 2; }

static void values(void)
{
	static struct inner inner = { { 1, 2, 3, 65535 }, { "one", "two", "three" } };
	struct outer outer = { -5, 200, 'q', 0xa5c3, &inner, "outer", 2.5, 0.125f };
	union string strings[] = {
		{ .near = { 2 * 5, "short" } }, { .near = { 2 * 10, "nearly far" } },	/* the most of 32 bits */
		{ .far = { 65, 27, "long enough to be elsewhere" } }, { .far = { 65, 5, "1\0" "345" } },
		{ .near = { 0, "" } }, { .far = { 65, 8, (char *)16 } },
	};
	struct outer *heap = malloc(sizeof(*heap));
	char *text = strdup("on the heap"), *large = malloc(3000), buf[16], *pages;
	long page = sysconf(_SC_PAGESIZE);

	*heap = outer;
	heap->minus = -6;
	memset(large, 'L', 2999);
	large[2999] = 0;
	/* A page that can be read and one that cannot. */
	pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(pages + page, page, PROT_NONE);
	memcpy(pages + page - 5, "edge", 5);
	memset(pages, 'x', 64);
	add(1, 2);
	add(-3, 1);
	show("literal", 1);
	show(text, 2);
	show(NULL, 3);
	show((char *)1, 4);
	show(pages + page, 5);
	show(pages + page - 5, 6);
	show("tab\tquote\"back\\slash\n\001", 7);
	show("", 8);
	show(large, 9);
	memset(pages + page - 300, 'y', 300);
	show(pages + page - 300, 10);
	look(&outer);
	look(heap);
	scale(1.5, 2.25f);
	halve(5.0f);
	eight(1, 2, 3, 4, 5, 6, 7, 8);
	function((void *)add);
	for (unsigned i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		string(&strings[i], i);
	string(NULL, -1);
	string((union string *)(pages + page - 4), -2);
	fill(buf, 6);
	inside(20);
}

static void *thread(void *arg)
{
	for (long i = 0; i < 5000; i++)
		add((long)arg, i);
	return NULL;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	pthread_t threads[4];
	pid_t child;

	if (!*what)
		values();
	if (!strcmp(what, "fork")) {
		add(1, 0);
		child = fork();
		add(child ? 2 : 3, 0);
		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
		add(4, 0);
	}
	if (!strcmp(what, "vfork")) {
		child = vfork();
		if (!child) {
			add(3, 0);
			_exit(0);
		}
		waitpid(child, NULL, 0);
		add(4, 0);
	}
	if (!strcmp(what, "threads")) {
		for (long i = 0; i < 4; i++)
			pthread_create(&threads[i], NULL, thread, (void *)(i + 1));
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
	}
	if (!strcmp(what, "many") || !strcmp(what, "kill")) {
		for (long i = 0, n = argc > 2 ? atol(argv[2]) : 1000; i < n; i++)
			add(i, -i);
		if (*what == 'k')
			raise(SIGKILL);
	}
	if (!strcmp(what, "seccomp")) {
		struct sock_filter code[] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		};
		struct sock_fprog program = { 5, code };
		char *text = strdup("on the heap");

		add(1, 1);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
			return 1;
		show("literal", 1);
		show(text, 2);
		add(2, 2);
		write(1, "still here\n", 11);
		_exit(0);
	}
	printf("done\n");
	return 0;
}
