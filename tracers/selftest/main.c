/* SPDX-License-Identifier: MIT */
/* ftrace-selftest: runs the tests, each as this program again with the test's number. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tracers/selftest/selftest.h"

#define SKIPPED		77
#define STRESS_ROUNDS	5000

static const struct selftest *const groups[] = {
	selftest_dynamic, selftest_registers, selftest_graph, selftest_control, selftest_stress,
};

unsigned long selftest_rounds;

extern char **environ;

/* ---- in the process of one test ---- */

static bool failed;
static char last_log[512];

static void keep_log(const char *msg)
{
	snprintf(last_log, sizeof(last_log), "%s", msg);
}

static void say(const char *format, va_list args)
{
	fputs("    ", stdout);
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
}

void selftest_fail(const char *format, ...)
{
	va_list args;

	failed = true;
	va_start(args, format);
	say(format, args);
	va_end(args);
}

void selftest_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	_exit(SKIPPED);
}

void selftest_give_up(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	_exit(1);
}

bool expect(const char *what, long got, long want)
{
	if (got != want)
		selftest_fail("%s: expected %ld, got %ld", what, want, got);
	return got == want;
}

bool expect_hex(const char *what, unsigned long got, unsigned long want)
{
	if (got != want)
		selftest_fail("%s: expected %#lx, got %#lx", what, want, got);
	return got == want;
}

void need(const char *what, int err)
{
	if (err)
		selftest_give_up("%s: expected 0, got %d (%s); the library says: %s", what, err,
				 strerror(-err), last_log[0] ? last_log : "nothing");
}

void expect_error(const char *what, int err, int want)
{
	if (err != want)
		selftest_fail("%s: expected %d (%s), got %d (%s)", what, want, strerror(-want),
			      err, strerror(-err));
	else if (!last_log[0])
		selftest_fail("%s: no line in the log says why", what);
	last_log[0] = 0;
}

static int run_one(const struct selftest *test)
{
	ftrace_set_log(keep_log);
	test->run();
	fflush(stdout);
	return failed;
}

/* ---- in the process that runs them all ---- */

static const struct selftest *numbered(unsigned int number)
{
	for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
		for (const struct selftest *t = groups[g]; t->name; t++)
			if (number-- == 0)
				return t;
	return NULL;
}

/* An emulator to run each test with, where the system does not by itself. */
#define MAX_RUN_WITH	16
static char *run_with[MAX_RUN_WITH + 1];

static void set_run_with(char *command)
{
	int n = 0;

	for (char *word = strtok(command, " "); word && n < MAX_RUN_WITH; word = strtok(NULL, " "))
		run_with[n++] = word;
}

static int spawn_one(unsigned int number, pid_t *pid)
{
	char text[16], rounds[32], self[4096];
	char *args[MAX_RUN_WITH + 6];
	int n = 0;
	posix_spawn_file_actions_t actions;
	int out[2], err;

	if (pipe(out))
		return -1;
	snprintf(text, sizeof(text), "%u", number);
	snprintf(rounds, sizeof(rounds), "%lu", selftest_rounds);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_addclose(&actions, out[0]);
	posix_spawn_file_actions_addclose(&actions, out[1]);
	for (; run_with[n]; n++)
		args[n] = run_with[n];
	args[n++] = run_with[0] && realpath("/proc/self/exe", self) ? self : "ftrace-selftest";
	args[n++] = "--one";
	args[n++] = text;
	args[n++] = "--rounds";
	args[n++] = rounds;
	args[n] = NULL;
	err = run_with[0] ? posix_spawnp(pid, args[0], &actions, NULL, args, environ) :
			    posix_spawn(pid, "/proc/self/exe", &actions, NULL, args, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	if (!err)
		return out[0];
	close(out[0]);
	errno = err;
	return -1;
}

/* What the test says, into @text; its wait status. */
static int collect(unsigned int number, char *text, size_t size)
{
	int status = 0, fd;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	fd = spawn_one(number, &pid);
	if (fd < 0) {
		snprintf(text, size, "    cannot be started: %s\n", strerror(errno));
		return W_EXITCODE(1, 0);
	}
	while ((n = read(fd, text + len, size - 1 - len)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && (len += (size_t)n) == size - 1)
			break;
	text[len] = 0;
	close(fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		snprintf(text + len, size - len, "    died by signal %d (%s)%s\n", WTERMSIG(status),
			 strsignal(WTERMSIG(status)), WTERMSIG(status) == SIGALRM ?
			 ": it hung" : "");
	return status;
}

struct totals {
	unsigned int run, failed, skipped;
};

static void report(const struct selftest *test, int status, const char *text, bool tap,
		   struct totals *totals)
{
	bool skip = WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED;
	bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	totals->run++;
	totals->failed += !good && !skip;
	totals->skipped += skip;
	if (tap) {
		const char *why = text + strspn(text, " ");
		int first = (int)strcspn(why, "\n");

		if (skip) {
			printf("ok %u - %s # SKIP %.*s\n", totals->run, test->name, first, why);
			return;
		}
		printf("%s %u - %s\n", good ? "ok" : "not ok", totals->run, test->name);
		for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
			printf("# %.*s\n", (int)strcspn(text, "\n"), text);
		return;
	}
	printf("%s\n%s", skip ? "skipped" : good ? "PASSED" : "FAILED!", text);
}

static int run_all(bool tap, char *const *wanted)
{
	struct totals totals = { 0, 0, 0 };
	const struct selftest *test;
	static char text[65536];

	for (unsigned int i = 0; (test = numbered(i)); i++) {
		char *const *w = wanted;

		while (*w && !strstr(test->name, *w))
			w++;
		if (*wanted && !*w)
			continue;
		if (!tap)
			printf("Testing %s: ", test->name);
		fflush(stdout);
		report(test, collect(i, text, sizeof(text)), text, tap, &totals);
		fflush(stdout);
	}
	if (tap)
		printf("1..%u\n", totals.run);
	if (!totals.run) {
		fprintf(stderr, "ftrace: selftest: no test of that name; see 'ftrace selftest --list'\n");
		return 2;
	}
	if (!tap)
		printf("%u passed, %u failed%s", totals.run - totals.failed - totals.skipped,
		       totals.failed, totals.skipped ? "" : "\n");
	if (!tap && totals.skipped)
		printf(", %u skipped\n", totals.skipped);
	return totals.failed != 0;
}

static int list(void)
{
	const struct selftest *test;

	for (unsigned int i = 0; (test = numbered(i)); i++)
		puts(test->name);
	return 0;
}

static int one(const char *number)
{
	const struct selftest *test = numbered((unsigned int)atoi(number));

	if (!test)
		return 2;
	alarm((unsigned int)test->timeout_s + (unsigned int)(selftest_rounds / 20));
	return run_one(test);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "tap", no_argument, NULL, 't' }, { "list", no_argument, NULL, 'l' },
		{ "stress", optional_argument, NULL, 's' }, { "rounds", required_argument, NULL, 'r' },
		{ "one", required_argument, NULL, '1' }, { "run-with", required_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	const char *number = NULL;
	bool tap = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 't': tap = true; break;
		case 'l': return list();
		case 's': selftest_rounds = optarg ? strtoul(optarg, NULL, 10) : STRESS_ROUNDS; break;
		case 'r': selftest_rounds = strtoul(optarg, NULL, 10); break;
		case '1': number = optarg; break;
		case 'w': set_run_with(optarg); break;
		default: return 2;
		}
	}
	return number ? one(number) : run_all(tap, argv + optind);
}
