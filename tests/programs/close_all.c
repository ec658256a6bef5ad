/* SPDX-License-Identifier: MIT */
/* Closes every descriptor, also reopens their numbers, and goes on calling in old and new threads. */
#include "t.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>

NOINLINE long work(long n) { KEEP(); return n + 1; }
static void *thread(void *arg)
{
	long n = 0;

	(void)arg;
	for (int i = 0; i < 200000; i++)
		n = work(n);
	return (void *)n;
}

int main(void)
{
	pthread_t id;
	void *value;
	long n = 0;

	printf("before\n");
	fflush(stdout);
	syscall(SYS_close_range, 3, ~0u, 0);
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	for (int fd = 3; fd < 40; fd++) {
		char name[16];

		/* What was a descriptor of somebody else is a file of ours now. */
		snprintf(name, sizeof(name), "file-%d", fd);
		CHECK(open(name, O_RDWR | O_CREAT | O_TRUNC, 0600) == fd);
		CHECK(write(fd, "mine\n", 5) == 5);
	}
	for (int i = 0; i < 300000; i++)
		n = work(n);
	CHECK(pthread_create(&id, NULL, thread, NULL) == 0);
	CHECK(pthread_join(id, &value) == 0);
	if (fork() == 0)
		_exit(work(1));
	CHECK(wait(NULL) > 0);
	printf("after %ld %ld\n", n, (long)value);
	fflush(stdout);
	close(0);
	close(1);
	close(2);
	for (int i = 0; i < 300000; i++)
		n = work(n);
	return n == 600000 ? 23 : 24;
}
