/* SPDX-License-Identifier: MIT */
/* Recording processes that run already: the agent is brought into them, and told to leave at the end. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/agent-call.h"
#include "cmd/cmd.h"
#include "cmd/record-attach.h"

#define THREADS_MS	50
#define ANSWER_MS	30000	/* for the agent to do what it was asked; plans may take long */

static volatile sig_atomic_t interrupted;
static uint32_t *doorbell;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void interrupt(int sig)
{
	interrupted = 1;
	if (doorbell)
		__atomic_fetch_add(doorbell, 1, __ATOMIC_RELEASE);
}

/* ---- asking ---- */

static int ask(struct record *r, struct record_target *t, const char *text, bool load)
{
	struct record_attach *a = r->attach;
	const struct agent_files *files = &a->files[t->wide];
	struct agent_call call = { .pid = t->pid, .agent = files->agent, .library = files->library, .load = load };
	char path[PATH_MAX];
	int err;

	snprintf(t->request_name, sizeof(t->request_name), FTRACE_SESSION_REQUEST "%d", t->pid);
	t->request = agent_request_make(r->session_fd, t->request_name, a->uid, a->gid, text);
	if (!t->request)
		return cmd_error("%s/%s: %s", r->session_dir, t->request_name, strerror(errno));
	/* As the process sees it. */
	snprintf(path, sizeof(path), "%s/%s", r->session_dir + r->session_prefix, t->request_name);
	call.request = path;
	call.file = t->request;
	t->asked_ns = now_ns();
	err = agent_call(&call);
	t->stopped_ns = call.stopped_ns;
	if (err) {
		agent_request_free(t->request, r->session_fd, t->request_name);
		t->request = NULL;
	}
	return err;
}

static void forget_request(struct record *r, struct record_target *t)
{
	if (t->request)
		agent_request_free(t->request, r->session_fd, t->request_name);
	t->request = NULL;
}

/* What the library said in the process, each line as an error of ours. */
static void show_answer(const struct record_target *t)
{
	uint32_t len = t->request->len < FTRACE_REQUEST_SIZE - sizeof(*t->request) ?
		       t->request->len : 0;
	const char *p = t->request->text, *end = p + len, *stop;

	for (; p < end; p = stop + 1) {
		stop = memchr(p, '\n', (size_t)(end - p));
		if (!stop)
			stop = end;
		cmd_error("process %d (%s): %.*s", t->pid, t->comm, (int)(stop - p), p);
	}
}

/* 1: it has answered; 0: not yet; -1: it is gone, or does not answer. */
static int answered(const struct record_target *t)
{
	struct pollfd pfd = { t->pidfd, POLLIN, 0 };

	if (__atomic_load_n(&t->request->state, __ATOMIC_ACQUIRE) == FTRACE_REQUEST_DONE)
		return 1;
	if (poll(&pfd, 1, 0) > 0)
		return -1;
	return now_ns() - t->asked_ns > ANSWER_MS * 1000000ull ? -1 : 0;
}

static bool is_gone(const struct record_target *t)
{
	struct pollfd pfd = { t->pidfd, POLLIN, 0 };

	return poll(&pfd, 1, 0) > 0;
}

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static void has_begun(struct record *r, struct record_target *t)
{
	const struct ftrace_request *q = t->request;

	t->state = q->err ? TARGET_DONE : TARGET_RECORDED;
	if (q->err) {
		show_answer(t);
		cmd_error("process %d (%s): recording could not be begun: %s; it goes on as before",
			  t->pid, t->comm, strerror(-q->err));
		t->failed = true;
		r->attach->failures++;
	} else {
		fprintf(stderr, "ftrace: attached to process %d (%s) in %.1f ms: one thread borrowed for %.1f ms, all threads stopped %llu time%s, %.2f ms at most\n",
			t->pid, t->comm, ms(now_ns() - t->asked_ns), ms(t->stopped_ns),
			(unsigned long long)q->stops, q->stops == 1 ? "" : "s", ms(q->stop_max_ns));
	}
	forget_request(r, t);
}

/* For those who look for it later: see cmd/attach.c. */
static void leave_note(struct record *r, const struct record_target *t)
{
	char name[64], output[PATH_MAX];
	int fd;

	snprintf(name, sizeof(name), "attached-%d", t->pid);
	fd = openat(r->session_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	dprintf(fd, "recorder=%d\noutput=%s\n", getpid(),
		realpath(r->opt->output, output) ? output : r->opt->output);
	close(fd);
}

/* All are recorded: who waits for that may go. */
static void all_have_begun(struct record *r)
{
	struct record_attach *a = r->attach;
	int null;

	for (size_t i = 0; i < a->n; i++)
		leave_note(r, &a->targets[i]);
	if (r->opt->begun_fd < 0)
		return;
	if (write(r->opt->begun_fd, "", 1) != 1)
		a->ending = true;
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null >= 0)
		dup2(null, 2);
	close(r->opt->begun_fd);
}

static void has_ended(struct record *r, struct record_target *t)
{
	t->state = TARGET_DONE;
	if (t->request->err) {
		show_answer(t);
		cmd_error("process %d (%s): its code could not be put back everywhere: %s; what is left passes every call on",
			  t->pid, t->comm, strerror(-t->request->err));
	}
	forget_request(r, t);
}

static void look_at(struct record *r, struct record_target *t)
{
	int got;

	if (t->state != TARGET_BEGINS && t->state != TARGET_ENDS) {
		if (t->state != TARGET_DONE && is_gone(t))
			t->state = TARGET_DONE;
		return;
	}
	got = answered(t);
	if (got > 0) {
		if (t->state == TARGET_BEGINS)
			has_begun(r, t);
		else
			has_ended(r, t);
	} else if (got < 0) {
		if (!is_gone(t))
			cmd_error("process %d (%s): its agent does not answer", t->pid, t->comm);
		forget_request(r, t);
		t->state = TARGET_DONE;
	}
}

/* ---- the course of it ---- */

static void catch_signals(struct record *r)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = interrupt, .sa_flags = SA_RESTART }, old;

	doorbell = &r->control->doorbell;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!sigaction(ends[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(ends[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int record_attach_start(struct record *r)
{
	struct record_attach *a = r->attach;
	size_t begun = 0;

	catch_signals(r);
	for (size_t i = 0; i < a->n; i++) {
		struct record_target *t = &a->targets[i];

		if (ask(r, t, "attach", true)) {
			t->state = TARGET_DONE;
			a->failures++;
			a->ending = true;	/* all, or none */
			break;
		}
		t->state = TARGET_BEGINS;
		begun++;
	}
	for (size_t i = begun; i < a->n; i++)
		a->targets[i].state = TARGET_DONE;
	return begun ? 0 : -1;
}

static void end_all(struct record *r)
{
	struct record_attach *a = r->attach;

	for (size_t i = 0; i < a->n; i++) {
		struct record_target *t = &a->targets[i];

		if (t->state != TARGET_RECORDED)
			continue;
		t->state = ask(r, t, "detach", false) ? TARGET_DONE : TARGET_ENDS;
	}
}

/* Have all threads ended that were chosen? Looked at not too often. */
static bool threads_have_ended(struct record *r)
{
	struct record_attach *a = r->attach;

	if (!r->opt->nthreads || a->ending || now_ns() - a->looked_ns < THREADS_MS * 1000000ull)
		return false;
	a->looked_ns = now_ns();
	if (record_threads_live(r->opt))
		return false;
	fputs("ftrace: the threads that were recorded have ended\n", stderr);
	return true;
}

void record_attach_poll(struct record *r)
{
	struct record_attach *a = r->attach;
	bool begins = false, lives = false;

	for (size_t i = 0; i < a->n; i++) {
		look_at(r, &a->targets[i]);
		begins |= a->targets[i].state == TARGET_BEGINS;
		lives |= a->targets[i].state != TARGET_DONE;
	}
	if (!begins && !a->all_begun) {
		a->all_begun = true;
		if (r->opt->duration_ns)
			a->until_ns = now_ns() + r->opt->duration_ns;
		if (!a->failures && lives)
			all_have_begun(r);
		if (!a->ending && !a->failures && lives && isatty(2))
			fputs("ftrace: recording; Ctrl-C ends it\n", stderr);
	}
	a->ending = a->ending || a->failures || interrupted || r->stopped_why || threads_have_ended(r) ||
		     (a->until_ns && now_ns() >= a->until_ns);
	if (a->ending && !begins)
		end_all(r);
	r->child_ended = !lives;
}

bool record_attach_failed(const struct record *r)
{
	return r->attach->failures;
}
