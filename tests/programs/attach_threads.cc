/* SPDX-License-Identifier: MIT */
// Threads of all kinds to be attached to: each checks every answer it gets. Ends at SIGTERM with what it
// has seen: "ok", or what was wrong. It is built as any program is, without a thought of tracing.
#include <atomic>
#include <condition_variable>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static std::atomic<long> wrong, done, thrown, made, forked, waits;
static std::atomic<bool> ends;

static void is_wrong(const char *what, long got)
{
	if (wrong++ < 20)
		fprintf(stderr, "%s: %ld, errno %d\n", what, got, errno);
}

extern "C" __attribute__((noinline)) int thrower(int x)
{
	__asm__ volatile("");
	if (x % 3 == 0)
		throw x;
	return x;
}

extern "C" __attribute__((noinline)) int catcher(int x)
{
	try {
		return thrower(x) + 1;
	} catch (int caught) {
		thrown++;
		return caught == x ? -caught : 1 << 30;
	}
}

extern "C" __attribute__((noinline)) double sum(double a, double b)
{
	__asm__ volatile("");
	return a + b;
}

static void computes()
{
	for (int i = 1; !ends; i = i % 1000 + 1) {
		int want = i % 3 ? i + 1 : -i, got;

		errno = i;
		got = catcher(i);
		if (got != want)
			is_wrong("catcher", got);
		if (sum(i, 0.5) != i + 0.5)
			is_wrong("sum", i);
		done++;
		if (i % 100 == 0)
			usleep(1000);
	}
}

static std::mutex mutex;
static std::condition_variable changed;
static long turn;

static void takes_turns(int me)
{
	while (!ends) {
		std::unique_lock<std::mutex> lock(mutex);
		changed.wait_for(lock, std::chrono::seconds(5), [me] { return turn % 2 == me || ends; });
		if (turn % 2 != me && !ends)
			is_wrong("a wake-up was lost", turn);
		turn++;
		changed.notify_all();
		lock.unlock();
		usleep(300);
	}
}

static void waits_in(const char *what, const std::function<int()> &wait)
{
	while (!ends) {
		errno = 0;
		int got = wait();
		if (got)
			is_wrong(what, got);
		waits++;
	}
}

static void reads(int fd)
{
	for (unsigned char want = 0;; want++) {
		unsigned char c;
		ssize_t n = read(fd, &c, 1);

		if (!n)
			return;
		if (n != 1)
			is_wrong("read", n);
		else if (c != want)
			is_wrong("read another byte", c);
	}
}

static void receives(int fd)
{
	for (unsigned char want = 0;; want++) {
		unsigned char c;
		ssize_t n = recv(fd, &c, 1, 0);

		if (!n)
			return;
		if (n != 1 || c != want)
			is_wrong("recv", n);
	}
}

static void makes_threads()
{
	while (!ends) {
		std::thread t([] {
			if (catcher(3) != -3)
				is_wrong("catcher in a new thread", 0);
			free(malloc(1000));
		});
		t.join();
		made++;
		usleep(500);
	}
}

static void forks()
{
	while (!ends) {
		pid_t pid = fork();
		int status = 0;

		if (!pid)
			_exit(catcher(4));
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 5 << 8)
			is_wrong("fork", status);
		forked++;
		usleep(20000);
	}
}

static void on_term(int)
{
	ends = true;
}

int main(int argc, char **argv)
{
	int pipe_fd[2], sockets[2], epoll = epoll_create1(0);
	bool with_forks = argc > 1 && !strcmp(argv[1], "forks");
	std::vector<std::thread> threads;
	struct sigaction sa = {};
	sigset_t term;

	sa.sa_handler = on_term;
	sigaction(SIGTERM, &sa, nullptr);
	if (pipe(pipe_fd) || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		return 2;
	/* SIGTERM is the main thread's alone. */
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, nullptr);
	threads.emplace_back(computes);
	threads.emplace_back(computes);
	threads.emplace_back(takes_turns, 0);
	threads.emplace_back(takes_turns, 1);
	threads.emplace_back(waits_in, "poll", [] { return poll(nullptr, 0, 30); });
	threads.emplace_back(waits_in, "nanosleep", [] {
		timespec t = { 0, 30000000 };
		return nanosleep(&t, nullptr);
	});
	threads.emplace_back(waits_in, "epoll_wait", [epoll] {
		epoll_event event;
		return epoll_wait(epoll, &event, 1, 30);
	});
	threads.emplace_back(waits_in, "select", [] {
		timeval t = { 0, 30000 };
		return select(0, nullptr, nullptr, nullptr, &t);
	});
	threads.emplace_back(reads, pipe_fd[0]);
	threads.emplace_back(receives, sockets[0]);
	threads.emplace_back(makes_threads);
	if (with_forks)
		threads.emplace_back(forks);
	pthread_sigmask(SIG_UNBLOCK, &term, nullptr);
	puts("ready");
	fflush(stdout);
	for (unsigned char c = 0; !ends; c++) {
		usleep(10000);
		if (write(pipe_fd[1], &c, 1) != 1 || send(sockets[1], &c, 1, 0) != 1)
			is_wrong("write", c);
	}
	close(pipe_fd[1]);
	shutdown(sockets[1], SHUT_RDWR);
	for (auto &t : threads)
		t.join();
	if (!done || !thrown || !made || !waits || (with_forks && !forked))
		is_wrong("nothing was done", done);
	puts(wrong ? "wrong" : "ok");
	return wrong != 0;
}
