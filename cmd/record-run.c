/* SPDX-License-Identifier: MIT */
/* The recorded program: how it is started, which signals reach it, how it ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/record.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* For signal handlers: the child, and the word the drain loop sleeps on. */
static volatile pid_t child_pid;
static uint32_t *doorbell;

static struct {
	__rlimit_resource_t resource;
	rlim_t wanted;
	struct rlimit before;
} limits[] = {
	{ .resource = RLIMIT_NOFILE, .wanted = 65536 },
	{ .resource = RLIMIT_FSIZE, .wanted = RLIM_INFINITY },
};

static void (*xfsz_before)(int);

/* From the terminal, signals reach the program anyway, as a member of our process group. */
static const int forwarded[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGQUIT };
static const int ignored[] = { SIGPIPE };


static void forward(int sig, siginfo_t *info, void *context)
{
	int err = errno;

	/* Sent by a process, to us; what a terminal sends comes from the kernel. */
	if (child_pid > 0 && info->si_code <= 0)
		kill(child_pid, sig);
	errno = err;
}

/* Something changed: a sleep of the drain loop ends, or does not begin. */
static void ring_doorbell(int sig)
{
	__atomic_fetch_add(doorbell, 1, __ATOMIC_RELEASE);
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_sigaction = forward, .sa_flags = SA_RESTART | SA_SIGINFO }, old;
	size_t i;

	for (i = 0; i < COUNT(forwarded); i++) {
		/* What our caller wants to be ignored (nohup) stays ignored, here and there. */
		if (!sigaction(forwarded[i], NULL, &old) && old.sa_handler == SIG_IGN)
			continue;
		sigaction(forwarded[i], &sa, NULL);
	}
	sa.sa_handler = SIG_IGN;
	for (i = 0; i < COUNT(ignored); i++)
		sigaction(ignored[i], &sa, NULL);
	sa.sa_handler = ring_doorbell;
	sa.sa_flags = SA_NOCLDSTOP;
	sigaction(SIGCHLD, &sa, NULL);
}

/*
 * Limits are meant for the program. Here, many threads mean many files, and large ones; root may
 * go beyond the hard limit, too.
 */
void record_raise_limits(void)
{
	for (size_t i = 0; i < COUNT(limits); i++) {
		struct rlimit more;

		if (getrlimit(limits[i].resource, &limits[i].before))
			continue;
		more = limits[i].before;
		if (more.rlim_max < limits[i].wanted)
			more.rlim_max = limits[i].wanted;
		more.rlim_cur = more.rlim_max;
		if (!setrlimit(limits[i].resource, &more))
			continue;
		more.rlim_cur = more.rlim_max = limits[i].before.rlim_max;
		setrlimit(limits[i].resource, &more);
	}
	/* Beyond the limit: an error, as for a full disk, instead of a signal. */
	xfsz_before = signal(SIGXFSZ, SIG_IGN);
}

/* LD_PRELOAD gets the agent in front of what is there. The program and its children see these. */
static int set_environment(const struct record *r)
{
	const char *before = getenv("LD_PRELOAD");
	char *both;
	int err;

	if (asprintf(&both, "%s%s%s", r->preload, before && *before ? ":" : "", before ? before : "") < 0)
		return -1;
	err = setenv("LD_PRELOAD", both, 1) || setenv(FTRACE_SESSION_ENV, r->session_dir, 1);
	free(both);
	/* AddressSanitizer's runtime refuses to start when anything is preloaded before it. */
	before = getenv("ASAN_OPTIONS");
	if (err || asprintf(&both, "%s%sverify_asan_link_order=0", before ? before : "",
			    before && *before ? ":" : "") < 0)
		return -1;
	err = setenv("ASAN_OPTIONS", both, 1);
	free(both);
	return err;
}

/* In the child. The descriptor @report is closed by exec, or gets the errno of why not. */
static void execute(const struct record *r, const sigset_t *mask, int report)
{
	int err;

	for (size_t i = 0; i < COUNT(limits); i++)
		setrlimit(limits[i].resource, &limits[i].before);
	signal(SIGXFSZ, xfsz_before);
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (!set_environment(r))
		execv(r->program, r->opt->command);
	err = errno;
	if (write(report, &err, sizeof(err)) != sizeof(err))
		_exit(126);
	_exit(127);
}

int record_run_start(struct record *r)
{
	sigset_t all, mask;
	int report[2], err = 0;
	ssize_t n;

	if (pipe2(report, O_CLOEXEC))
		return cmd_error("pipe: %s", strerror(errno));
	doorbell = &r->control->doorbell;
	/* No signal between the fork and the handlers that know of the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	r->child = fork();
	if (r->child == 0) {
		close(report[0]);
		execute(r, &mask, report[1]);
	}
	err = errno;
	if (r->child > 0) {
		child_pid = r->child;
		catch_signals();
	}
	sigprocmask(SIG_SETMASK, &mask, NULL);
	close(report[1]);
	if (r->child < 0) {
		close(report[0]);
		return cmd_error("%s: cannot be started: fork: %s", r->program, strerror(err));
	}
	do
		n = read(report[0], &err, sizeof(err));
	while (n < 0 && errno == EINTR);
	close(report[0]);
	if (n != sizeof(err))
		return 0;
	waitpid(r->child, NULL, 0);
	child_pid = 0;
	return cmd_error("%s: cannot be executed: %s", r->program, strerror(err));
}

void record_run_poll(struct record *r)
{
	int status;

	if (r->attach) {
		record_attach_poll(r);
		return;
	}
	if (r->child_ended || waitpid(r->child, &status, WNOHANG) != r->child)
		return;
	child_pid = 0;
	r->child_ended = true;
	r->status = status;
}

int record_run_status(const struct record *r)
{
	if (WIFSIGNALED(r->status))
		return 128 + WTERMSIG(r->status);
	return WEXITSTATUS(r->status);
}
