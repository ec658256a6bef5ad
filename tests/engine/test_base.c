/* SPDX-License-Identifier: MIT */
/* engine/base.h: strings, formatting, memory, locks, files, log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ftrace/ftrace.h>

#include "engine/base.h"

/* ---- strings ---- */

static void test_copy_and_compare(void **state)
{
	unsigned char a[200], b[200], want[200];

	/* Every length and every overlap around the word size, against a byte loop. */
	for (int len = 0; len < 40; len++) {
		for (int from = 0; from < 40; from++) {
			for (int to = 0; to < 40; to++) {
				for (int i = 0; i < 200; i++)
					a[i] = want[i] = (unsigned char)(i * 7 + len);
				for (int i = 0; i < len; i++)
					want[to + i] = (unsigned char)((from + i) * 7 + len);
				assert_ptr_equal(ft_memmove(a + to, a + from, (size_t)len), a + to);
				for (int i = 0; i < 200; i++)
					assert_int_equal(a[i], want[i]);
			}
		}
	}
	for (int len = 0; len < 60; len++) {
		ft_memset(a, 0xcc, sizeof(a));
		ft_memset(a + 3, 0x5a, (size_t)len);
		ft_memset(b, 0xcc, sizeof(b));
		ft_memcpy(b + 3, a + 3, (size_t)len);
		for (int i = 0; i < 200; i++) {
			assert_int_equal(a[i], i >= 3 && i < 3 + len ? 0x5a : 0xcc);
			assert_int_equal(b[i], a[i]);
		}
		assert_int_equal(ft_memcmp(a, b, 200), 0);
		for (int i = 0; i < len; i++) {
			b[i] ^= 0x80;
			assert_true((ft_memcmp(a, b, (size_t)len) < 0) == (a[i] < b[i]));
			assert_int_equal(ft_memcmp(a, b, (size_t)i), 0);
			b[i] ^= 0x80;
		}
	}
}

static void test_strings(void **state)
{
	static const char s[] = "/usr/lib/x.so";

	assert_int_equal(ft_strlen(""), 0);
	assert_int_equal(ft_strlen(s), 13);
	assert_int_equal(ft_strcmp("abc", "abc"), 0);
	assert_true(ft_strcmp("abc", "abd") < 0);
	assert_true(ft_strcmp("abc", "ab") > 0);
	assert_true(ft_strcmp("\xff", "a") > 0);
	assert_int_equal(ft_strncmp("abcx", "abcy", 3), 0);
	assert_true(ft_strncmp("abcx", "abcy", 4) < 0);
	assert_int_equal(ft_strncmp("ab", "ab", 10), 0);
	assert_ptr_equal(ft_strchr(s, 'l'), s + 5);
	assert_ptr_equal(ft_strchr(s, 'q'), NULL);
	assert_ptr_equal(ft_strchr(s, 0), s + 13);
	assert_ptr_equal(ft_strrchr(s, '/'), s + 8);
	assert_ptr_equal(ft_strrchr(s, 'q'), NULL);
	assert_true(ft_starts_with(s, "/usr"));
	assert_true(ft_starts_with(s, ""));
	assert_false(ft_starts_with("/us", "/usr"));
}

/* ---- formatting: what libc's snprintf() says is right ---- */

#define SAME_AS_LIBC(size, ...)							\
	do {									\
		char ours[128], libcs[128];					\
		int a, b;							\
										\
		ft_memset(ours, 'U', sizeof(ours));				\
		ft_memset(libcs, 'U', sizeof(libcs));				\
		a = ft_snprintf(ours, size, __VA_ARGS__);			\
		b = snprintf(libcs, size, __VA_ARGS__);				\
		assert_int_equal(a, b);						\
		assert_int_equal(ft_memcmp(ours, libcs, sizeof(ours)), 0);	\
	} while (0)

static void test_format(void **state)
{
	static const long long values[] = { 0, 1, -1, 9, 10, 99, 4294967295ll, 4294967296ll,
		INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX, 1000000000000ll };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		long long v = values[i];

		SAME_AS_LIBC(128, "%d|%u|%x", (int)v, (unsigned)v, (unsigned)v);
		SAME_AS_LIBC(128, "%ld|%lu|%lx", (long)v, (unsigned long)v, (unsigned long)v);
		SAME_AS_LIBC(128, "%lld|%llu|%llx", v, (unsigned long long)v, (unsigned long long)v);
		SAME_AS_LIBC(128, "%5d|%05d|%-5d|%1d", (int)v, (int)v, (int)v, (int)v);
		SAME_AS_LIBC(128, "%016llx|%08x|%zu", (unsigned long long)v, (unsigned)v, (size_t)v);
		SAME_AS_LIBC(128, "%25lld|%025lld|%-25lld|", v, v, v);
	}
	SAME_AS_LIBC(128, "%s %c%%%10s|%-10s|%.3s|%*d|%.*s", "text", 'x', "right", "left", "precise",
		     7, 42, 2, "abc");
	SAME_AS_LIBC(128, "%p", (void *)&values);
	SAME_AS_LIBC(128, "%*d|", -6, 5);
	for (size_t size = 0; size < 12; size++)
		SAME_AS_LIBC(size, "%s=%d", "name", 12345);

	char buf[32];

	const char *volatile none = NULL;

	assert_int_equal(ft_snprintf(buf, sizeof(buf), "%s", none), 6);
	assert_string_equal(buf, "(null)");
}

/* ---- memory ---- */

static void test_alloc(void **state)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 31, 32, 33, 48, 49, 64, 65, 100, 4095, 4096,
		4097, 65535, 65536, 65537, 98304, 98305, 1 << 20, (1 << 20) + 1, 5000000 };
	void *p[ARRAY_SIZE(sizes)];

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			unsigned char *c = p[i] = ft_alloc(sizes[i]);

			assert_non_null(c);
			assert_int_equal((uintptr_t)c % 16, 0);
			for (size_t j = 0; j < sizes[i]; j++)
				assert_true(c[j] == 0);
			ft_memset(c, 0x11 * (int)(i + 1), sizes[i]);
		}
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			unsigned char *c = p[i];

			for (size_t j = 0; j < sizes[i]; j++)
				assert_true(c[j] == (unsigned char)(0x11 * (i + 1)));
			ft_free(p[i], sizes[i]);
		}
	}
	ft_free(NULL, 10);
	/* What was freed is used again. */
	p[0] = ft_alloc(5000);
	ft_free(p[0], 5000);
	assert_ptr_equal(ft_alloc(5000), p[0]);
	assert_null(ft_alloc(SIZE_MAX));
	assert_null(ft_alloc(SIZE_MAX / 2));
}

static void churn(unsigned int seed, int rounds)
{
	struct {
		unsigned char *p;
		size_t size;
		unsigned char tag;
	} slot[32] = { 0 };

	for (int i = 0; i < rounds; i++) {
		unsigned int k = (seed = seed * 1103515245 + 12345) >> 16 & 31;

		if (slot[k].p) {
			for (size_t j = 0; j < slot[k].size; j++)
				if (slot[k].p[j] != slot[k].tag)
					abort();
			ft_free(slot[k].p, slot[k].size);
		}
		slot[k].size = (seed >> 8) % 300;
		slot[k].tag = (unsigned char)seed;
		slot[k].p = ft_alloc(slot[k].size);
		if (!slot[k].p)
			abort();
		for (size_t j = 0; j < slot[k].size; j++)
			if (slot[k].p[j])
				abort();
		ft_memset(slot[k].p, slot[k].tag, slot[k].size);
	}
	for (int k = 0; k < 32; k++)
		ft_free(slot[k].p, slot[k].size);
}

static void *churn_thread(void *arg)
{
	churn((unsigned int)(uintptr_t)arg, 100000);
	return NULL;
}

static volatile int alarms;

static void churn_in_handler(int sig)
{
	churn((unsigned int)++alarms, 20);
}

/* Two threads, and a signal handler that allocates too, in the middle of either. */
static void test_alloc_threads_and_signals(void **state)
{
	struct itimerval tick = { { 0, 100 }, { 0, 100 } }, off = { { 0, 0 }, { 0, 0 } };
	struct sigaction sa = { .sa_handler = churn_in_handler, .sa_flags = SA_RESTART };
	pthread_t t[2];

	alarms = 0;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, churn_thread, (void *)(i + 1)), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	setitimer(ITIMER_REAL, &off, NULL);
	assert_true(alarms > 0);
}

/* A child of fork can allocate whatever its parent's other threads were doing. */
static void test_alloc_fork(void **state)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, churn_thread, (void *)7), 0);
	for (int i = 0; i < 50; i++) {
		int status;
		pid_t pid = fork();

		if (!pid) {
			alarm(60);
			churn((unsigned int)i, 1000);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	pthread_join(t, NULL);
}

static void test_alloc_refused(void **state)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct rlimit none = { 0, 0 };
		size_t got = 0;

		setrlimit(RLIMIT_AS, &none);
		if (ft_alloc(16 << 20))
			_exit(1);
		while (got < 64 << 20 && ft_alloc(1000))
			got += 1000;
		if (got >= 64 << 20)
			_exit(2);
		if (!ft_is_err(ft_mmap(NULL, 4096, 0, 0x22, -1, 0)))
			_exit(3);
		if (ft_wipeonfork(4096))
			_exit(4);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- locks ---- */

static struct ft_mutex lock;
static unsigned long counter;

static void *count_thread(void *arg)
{
	for (int i = 0; i < 300000; i++) {
		ft_lock(&lock);
		counter++;
		ft_unlock(&lock);
	}
	return NULL;
}

static void test_lock(void **state)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, count_thread, NULL), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(counter, 900000);
	assert_int_equal(lock.word, 0);
	assert_true(ft_trylock(&lock));
	assert_false(ft_trylock(&lock));
	ft_unlock(&lock);
	assert_true(ft_trylock(&lock));
	ft_unlock(&lock);
}

static void test_wipeonfork(void **state)
{
	u32 *p = ft_wipeonfork(5000);
	int status;
	pid_t pid;

	assert_non_null(p);
	p[0] = 1;
	p[1249] = 2;
	pid = fork();
	if (!pid)
		_exit(p[0] || p[1249]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(p[0], 1);
}

/* ---- files ---- */

static void test_files(void **state)
{
	char path[] = "/tmp/ftrace-base-XXXXXX", buf[64];
	int fd = mkstemp(path), ours;

	assert_true(fd >= 0);
	ours = ft_open(path, O_RDWR, 0);
	assert_true(ours >= 0);
	assert_true(fcntl(ours, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(ft_pwrite(ours, "hello", 5, 3), 5);
	assert_int_equal(ft_pread(ours, buf, sizeof(buf), 1), 7);
	assert_memory_equal(buf, "\0\0hello", 7);
	/* Offsets beyond 4 GiB reach the kernel whole. */
	assert_int_equal(ft_pwrite(ours, "x", 1, 5ull << 30), 1);
	assert_true(lseek(fd, 0, SEEK_END) == (5ll << 30) + 1);
	assert_int_equal(ft_close(ours), 0);
	assert_int_equal(ft_close(ours), -EBADF);
	assert_int_equal(ft_read_file(path, buf, 6), 6);
	close(fd);
	unlink(path);
	assert_int_equal(ft_open(path, O_RDONLY, 0), -ENOENT);
	assert_int_equal(ft_read_file(path, buf, 6), -ENOENT);
	assert_int_equal(ft_getpid(), getpid());
	assert_int_equal(ft_gettid(), gettid());
}

struct lines {
	int n, stop_at;
	size_t len[8];
	char first[8];
};

static int take_line(char *text, void *data)
{
	struct lines *l = data;

	assert_true(l->n < 8);
	l->len[l->n] = ft_strlen(text);
	l->first[l->n] = text[0];
	l->n++;
	return l->n == l->stop_at ? 77 : 0;
}

static int count_line(char *text, void *data)
{
	if (ft_strchr(text, '\n') || !ft_strchr(text, '-'))
		return -1;
	++*(int *)data;
	return 0;
}

static void test_each_line(void **state)
{
	char path[] = "/tmp/ftrace-base-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");
	struct lines l = { 0 };
	int n = 0, c, want = 0;

	assert_non_null(f);
	fprintf(f, "a\n\nbcd\n");
	for (int i = 0; i < 20000; i++)	/* longer than any buffer: cut, not split in two */
		fputc('e', f);
	fprintf(f, "\nf\nlast");
	fclose(f);
	assert_int_equal(ft_for_each_line(path, take_line, &l), 0);
	assert_int_equal(l.n, 6);
	assert_memory_equal(l.first, "a\0befl", 6);
	assert_int_equal(l.len[1], 0);
	assert_int_equal(l.len[2], 3);
	assert_in_range(l.len[3], 4200, 20000);
	assert_int_equal(l.len[5], 4);
	l = (struct lines){ .stop_at = 2 };
	assert_int_equal(ft_for_each_line(path, take_line, &l), 77);
	assert_int_equal(l.n, 2);
	unlink(path);
	assert_int_equal(ft_for_each_line(path, take_line, &l), -ENOENT);

	/* What fopen() needs may be mappings more, so it is asked twice. */
	for (int i = 0; i < 2; i++) {
		want = 0;
		f = fopen("/proc/self/maps", "r");
		while ((c = fgetc(f)) != EOF)
			want += c == '\n';
		fclose(f);
	}
	assert_int_equal(ft_for_each_line("/proc/self/maps", count_line, &n), 0);
	assert_in_range(n, want - 2, want + 2);
	assert_true(n > 5);
}

static volatile sig_atomic_t ticks;

static void tick(int sig)
{
	ticks++;
}

/* A timer that is much faster than the kernel is with that much memory. */
static void test_fallocate(void **state)
{
	struct itimerval fast = { { 0, 50 }, { 0, 50 } }, none = { { 0, 0 }, { 0, 0 } };
	char path[] = "/dev/shm/ftrace-base-XXXXXX";
	int fd = mkstemp(path);
	struct stat st;

	assert_true(fd >= 0);
	unlink(path);
	signal(SIGALRM, tick);
	setitimer(ITIMER_REAL, &fast, NULL);
	assert_int_equal(ft_fallocate(fd, 0, 32 << 20), 0);
	while (!ticks)
		;
	setitimer(ITIMER_REAL, &none, NULL);
	signal(SIGALRM, SIG_DFL);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 32 << 20);
	assert_true(st.st_blocks >= (32 << 20) / 512);
	close(fd);
	assert_int_equal(ft_fallocate(-1, 0, 4096), -EBADF);
}

/* ---- log ---- */

static char logged[1024];

static void take_log(const char *msg)
{
	snprintf(logged, sizeof(logged), "%s", msg);
}

static void test_log(void **state)
{
	ftrace_log_func_t old = ftrace_set_log(take_log);
	char longer[2000];

	assert_non_null(old);
	assert_int_equal(ft_log(-EINVAL, "what: %s: %d", "why", 42), -EINVAL);
	assert_string_equal(logged, "what: why: 42");
	ft_memset(longer, 'x', sizeof(longer));
	longer[1999] = 0;
	assert_int_equal(ft_log(-EIO, "%s", longer), -EIO);
	assert_in_range(strlen(logged), 200, 1000);
	assert_ptr_equal(ftrace_set_log(NULL), take_log);
	logged[0] = 0;
	assert_int_equal(ft_log(-EIO, "x"), -EIO);
	assert_string_equal(logged, "");

	/* The default writes one line to descriptor 2. */
	int fds[2], saved = dup(2);
	char buf[64] = "";

	assert_int_equal(pipe(fds), 0);
	ftrace_set_log(old);
	dup2(fds[1], 2);
	ft_log(0, "a: b");
	dup2(saved, 2);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 16);
	assert_string_equal(buf, "libftrace: a: b\n");
	close(fds[0]);
	close(fds[1]);
	close(saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy_and_compare),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_alloc),
		cmocka_unit_test(test_alloc_threads_and_signals),
		cmocka_unit_test(test_alloc_fork),
		cmocka_unit_test(test_alloc_refused),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_wipeonfork),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_each_line),
		cmocka_unit_test(test_fallocate),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
