/* SPDX-License-Identifier: MIT */
/*
 * A server with a thread for each connection, on the loopback port that it prints: for each number (a line) it
 * answers with what count() makes of it. Ends at SIGTERM with "ok".
 */
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

__attribute__((noinline)) unsigned long step(unsigned long x)
{
	__asm__ volatile("");
	return x * 6364136223846793005ul + 1442695040888963407ul;
}

__attribute__((noinline)) unsigned long count(unsigned long x)
{
	for (int i = 0; i < 10; i++)
		x = step(x);
	return x % 1000000007ul;
}

static void *serve(void *arg)
{
	FILE *in = fdopen((int)(long)arg, "r+");
	char line[64];

	setvbuf(in, NULL, _IOLBF, 256);
	while (fgets(line, sizeof(line), in))
		dprintf(fileno(in), "%lu\n", count(strtoul(line, NULL, 10)));
	fclose(in);
	return NULL;
}

static void on_term(int sig)
{
	write(1, "ok\n", 3);
	_exit(0);
}

int main(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t thread;
	long client;

	signal(SIGTERM, on_term);
	if (bind(fd, (struct sockaddr *)&at, len) || listen(fd, 64) ||
	    getsockname(fd, (struct sockaddr *)&at, &len))
		return 1;
	printf("ready\n%d\n", ntohs(at.sin_port));
	fflush(stdout);
	while ((client = accept(fd, NULL, NULL)) >= 0)
		if (!pthread_create(&thread, NULL, serve, (void *)client))
			pthread_detach(thread);
	perror("accept");
	return 1;
}
