/* SPDX-License-Identifier: MIT */
/*
 * usage: daemon FILE		become a daemon as the book says, work, leave the result in FILE
 *
 * Two forks, a session of its own, every descriptor closed, no mask for new files, 0 to 2 on
 * /dev/null; then a pool of children forked ahead that each take a part of the work.
 */
#include "t.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

NOINLINE long work(long n) { KEEP(); return n + 1; }

static void become_daemon(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		exit(0);
	CHECK(setsid() > 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid)
		_exit(0);
	CHECK(chdir("/") == 0);
	umask(0);
	for (int fd = 0; fd < 1024; fd++)
		close(fd);
	CHECK(open("/dev/null", O_RDWR) == 0 && dup(0) == 1 && dup(0) == 2);
}

static long child(int from, int to)
{
	long n = 0, count;

	while (read(from, &count, sizeof(count)) == sizeof(count)) {
		for (long i = 0; i < count; i++)
			n = work(n);
		CHECK(write(to, &n, sizeof(n)) == sizeof(n));
	}
	return n;
}

int main(int argc, char **argv)
{
	int to[2], from[2];
	long total = 0;
	FILE *out;
	char part[4096];

	become_daemon();
	CHECK(pipe(to) == 0 && pipe(from) == 0);
	for (int i = 0; i < 4; i++)
		if (fork() == 0) {
			close(to[1]);
			_exit(child(to[0], from[1]) >= 0 ? 0 : 1);
		}
	close(to[0]);
	for (long i = 1; i <= 100; i++) {
		long n;

		CHECK(write(to[1], &i, sizeof(i)) == sizeof(i));
		CHECK(read(from[0], &n, sizeof(n)) == sizeof(n));
		total += i;
	}
	close(to[1]);
	while (wait(NULL) > 0)
		;
	snprintf(part, sizeof(part), "%s.part", argc > 1 ? argv[1] : "daemon");
	out = fopen(part, "w");
	CHECK(out != NULL);
	fprintf(out, "%ld %ld\n", total, work(total));
	CHECK(fclose(out) == 0);
	CHECK(rename(part, argv[1]) == 0);
	return 0;
}
