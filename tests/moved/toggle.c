/* SPDX-License-Identifier: MIT */
/*
 * Functions without instrumentation switched on and off while threads run in the very bytes that are
 * moved, and others are blocked in system calls. TAP. Linked with the library's objects; the first argument is
 * the plan, the second how many times.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <ftrace/fgraph.h>
#include <ftrace/ftrace.h>

#include "moved-test.h"

static volatile int stop, failed;

/*
 * Eight bytes of one byte each and no side effect but on its result: a thread is nearly always in the
 * middle of what is moved. (The argument is counted up by five.)
 */
__asm__(".text\n.p2align 4\n.globl slow_path\n.type slow_path, @function\n"
	"slow_path: .cfi_startproc\n"
	"	xchg %eax, %edi\n"	/* 97 */
	"	nop\n"
	"	clc\n"
	"	nop\n"
	"	lea 5(%rax), %eax\n"
	"	ret\n"
	".cfi_endproc\n.size slow_path, .-slow_path\n");
int slow_path(int x);

/* A thread blocked here has its pc behind the moved system call. */
__asm__(".text\n.p2align 4\n.globl quick_read\n.type quick_read, @function\n"
	"quick_read: .cfi_startproc\n"
	"	xorl %eax, %eax\n"	/* SYS_read */
	"	syscall\n"
	"	nop\n"
	"	ret\n"
	".cfi_endproc\n.size quick_read, .-quick_read\n");
long quick_read(int fd, void *buf, size_t n);

/* The same with the system call as the last thing that is moved. */
__asm__(".text\n.p2align 4\n.globl last_read\n.type last_read, @function\n"
	"last_read: .cfi_startproc\n"
	"	xorl %eax, %eax\n"
	"	nop\n"
	"	syscall\n"
	"	ret\n"
	".cfi_endproc\n.size last_read, .-last_read\n");
long last_read(int fd, void *buf, size_t n);

static void *run(void *arg)
{
	unsigned int x = (unsigned int)(long)arg;

	while (!stop) {
		unsigned int y = x;

		for (int i = 0; i < 1000; i++)
			y = (unsigned int)slow_path((int)y);
		if (y != x + 5000)
			failed++;
		x = y;
	}
	return NULL;
}

/* Calls are in flight in the traced function when a handler is under way: the frame points into it. */
static void on_signal(int sig)
{
	(void)sig;
	slow_path(1);
}

static int pipes[4][2], started;
static long waited[12];
static const char *const waits[] = { "read", "read inside", "read at the end", "nanosleep", "epoll_wait",
				     "sigtimedwait", "poll", "semop", "futex", "recv with a limit",
				     "epoll_pwait", "pause-like poll" };

/* Blocks in one system call for as long as the test runs. What comes back must be what it waited for. */
static void *wait_in(void *arg)
{
	int which = (int)(long)arg, ep, err = 0;
	struct epoll_event event = { .events = EPOLLIN };
	struct timespec ts = { 3, 0 };
	struct timeval tv = { 100, 0 };
	struct pollfd pfd = { pipes[0][0], POLLIN, 0 };
	struct sembuf down = { 0, -1, 0 };
	sigset_t set;
	char c;
	int sock[2];

	__atomic_fetch_add(&started, 1, __ATOMIC_SEQ_CST);
	errno = 0;
	switch (which) {
	case 0: err = read(pipes[0][0], &c, 1) != 1; break;
	case 1: err = (int)quick_read(pipes[1][0], &c, 1) != 1; break;
	case 2: err = (int)last_read(pipes[2][0], &c, 1) != 1; break;
	case 3: err = nanosleep(&ts, NULL); break;
	case 4:
	case 10:
		ep = epoll_create1(0);
		epoll_ctl(ep, EPOLL_CTL_ADD, pipes[3][0], &event);
		sigemptyset(&set);
		err = (which == 4 ? epoll_wait(ep, &event, 1, 100000) :
		       epoll_pwait(ep, &event, 1, 100000, &set)) != 1;
		break;
	case 5:
		sigemptyset(&set);
		sigaddset(&set, SIGUSR2);
		ts.tv_sec = 100;
		err = sigtimedwait(&set, NULL, &ts) != SIGUSR2;
		break;
	case 6: err = poll(&pfd, 1, 100000) != 1; break;
	case 7: {
		int id = semget(IPC_PRIVATE, 1, 0600);

		waited[7] = id + 1;
		err = semop(id, &down, 1);
		semctl(id, 0, IPC_RMID);
		break;
	}
	case 8: {
		static sem_t never;

		sem_init(&never, 0, 0);
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_sec += 3;
		err = sem_timedwait(&never, &ts) != -1 || errno != ETIMEDOUT;
		break;
	}
	case 9:
		socketpair(AF_UNIX, SOCK_STREAM, 0, sock);
		setsockopt(sock[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		waited[9] = sock[1] + 1;
		err = recv(sock[0], &c, 1, 0) != 1;
		break;
	}
	return (void *)(long)(err ? (errno ? errno : 1000) : 0);
}

static volatile long hits, entered, returned;

static void hit(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op, struct pt_regs *regs)
{
	__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
}

static int graph_entry(struct ftrace_graph_ent *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	__atomic_fetch_add(&entered, 1, __ATOMIC_RELAXED);
	return 1;
}

static void graph_return(struct ftrace_graph_ret *trace, struct fgraph_ops *gops, struct pt_regs *regs)
{
	__atomic_fetch_add(&returned, 1, __ATOMIC_RELAXED);
}

#define NRUN	3
#define NWAIT	11

int main(int argc, char **argv)
{
	static const char names[] = "slow_path quick_read last_read";
	struct ftrace_ops ops = { .func = hit, .flags = FTRACE_OPS_FL_GENERAL_REGS };
	struct fgraph_ops gops = { .entryfunc = graph_entry, .retfunc = graph_return };
	pthread_t running[NRUN], waiting[NWAIT];
	int times = argc > 2 ? atoi(argv[2]) : 1000, bad = 0, busy = 0;
	sigset_t usr2;
	void *result;

	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &usr2, NULL);
	signal(SIGUSR1, on_signal);
	for (int i = 0; i < 4; i++)
		if (pipe(pipes[i]))
			return 99;
	ftrace_set_filter(&ops, names, (int)strlen(names), 1);
	ftrace_set_filter(&gops.ops, names, (int)strlen(names), 1);
	for (long i = 0; i < NRUN; i++)
		pthread_create(&running[i], NULL, run, (void *)i);
	for (long i = 0; i < NWAIT; i++)
		pthread_create(&waiting[i], NULL, wait_in, (void *)i);
	while (started < NWAIT)
		usleep(1000);
	usleep(20000);
	for (int i = 0; i < times || !hits || !entered || !ftrace_stops.moved; i++) {
		bool graph = i % 2;
		int err = graph ? register_ftrace_graph(&gops) : register_ftrace_function(&ops);

		if (err == -EBUSY)
			busy++;
		else if (err)
			bad++;
		if (i % 8 == 0)
			pthread_kill(running[i / 8 % NRUN], SIGUSR1);
		if (i % 16 == 0)
			usleep(100);
		if (graph)
			unregister_ftrace_graph(&gops);
		else if (!err)
			bad += unregister_ftrace_function(&ops) != 0;
	}
	ok(bad == 0, "%d times on and off, %d failed, %d busy", times, bad, busy);
	ok(hits > 0 && entered > 0, "%ld calls seen, %ld entered, %ld returned", hits, entered, returned);
	ok(ftrace_stops.moved > 0, "%lu stops, %lu threads moved into copies, %lu sites busy",
	   (unsigned long)ftrace_stops.count, (unsigned long)ftrace_stops.moved,
	   (unsigned long)ftrace_stops.busy);
	printf("# stopped %lu us at the most, %lu us in the middle\n",
	       (unsigned long)ftrace_stops.max_ns / 1000,
	       (unsigned long)(ftrace_stops.total_ns / (ftrace_stops.count + !ftrace_stops.count) / 1000));
	stop = 1;
	for (int i = 0; i < NRUN; i++)
		pthread_join(running[i], NULL);
	ok(failed == 0, "%d wrong results", failed);
	for (int i = 0; i < 4; i++)
		if (write(pipes[i][1], "xyz", 2) != 2)
			return 99;
	pthread_kill(waiting[5], SIGUSR2);
	semctl((int)waited[7] - 1, 0, SETVAL, 1);
	if (write((int)waited[9] - 1, "x", 1) != 1)
		return 99;
	for (int i = 0; i < NWAIT; i++) {
		pthread_join(waiting[i], &result);
		ok(!result, "%s: errno %ld", waits[i], (long)result);
	}
	return tap_done();
}
