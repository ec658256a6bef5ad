/* SPDX-License-Identifier: MIT */
/*
 * ftrace patch apply, revert, force: one process. The transition is carried through by a thread in the process
 * itself; we look on, and may go away at any time.
 */
#include <stdio.h>

#include "cmd/patch.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/patch-call.h"
#include "cmd/patch-state.h"

#define SAY_MS		1000	/* then who holds the transition up is said ... */
#define SAY_AGAIN_MS	5000	/* ... and again so often */
#define LOOK_MS		2

static volatile sig_atomic_t interrupted;

static void interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

void patch_catch_interrupt(void)
{
	struct sigaction sa = { .sa_handler = interrupt };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- what there is ---- */

/* What the last request has answered. 0 or -1, said. */
static int read_states(const struct patch_call *call, struct patch_states *s)
{
	const struct ftrace_request *r = call->request;
	uint32_t len = r->len < FTRACE_REQUEST_SIZE - sizeof(*r) ? r->len : 0;
	const char *text = r->text, *end = text + len, *stop;

	/* What the library had to say comes first. */
	while (text < end && strncmp(text, "livepatch ", 10) && strncmp(text, "holders ", 8)) {
		stop = memchr(text, '\n', (size_t)(end - text));
		if (!stop)
			break;
		cmd_error("process %d (%s): %.*s", call->pid, call->comm, (int)(stop - text), text);
		text = stop + 1;
	}
	if (patch_states_parse(s, strndup(text, (size_t)(end - text))))
		return cmd_error("no memory") ? -1 : 0;
	return 0;
}

static int ask_states(struct patch_call *call, struct patch_states *s)
{
	return patch_call_ask(call, "livepatch/patches?\n", false, NULL) ? -1 : read_states(call, s);
}

static bool is(const struct patch_state *p, const char *state)
{
	return p && !strcmp(p->state, state);
}

/* Out of use: reverted, or it never came into use. */
static bool is_off(const struct patch_state *p)
{
	return is(p, "disabled") || is(p, "failed");
}

static bool is_moving(const struct patch_state *p)
{
	return is(p, "enabling") || is(p, "disabling");
}

/* ---- waiting ---- */

struct wait {
	struct patch_call *call;
	const struct patch_options *opt;
	const char *name;
	const char *wanted;		/* the state at the end */
	struct patch_states *s;		/* the last that was seen */
	bool waited;
};

static void say_who(struct wait *w)
{
	char who[1024];

	patch_states_describe_holders(w->s, who, sizeof(who));
	fprintf(stderr, "ftrace: %s: process %d (%s): waiting for %s\n", w->name, w->call->pid, w->call->comm, who);
}

static int give_up(struct wait *w, const char *what)
{
	struct patch_call *call = w->call;
	char who[1024];

	patch_states_describe_holders(w->s, who, sizeof(who));
	if (w->opt->reverse && !interrupted)
		return -ETIMEDOUT;
	return cmd_error("%s: process %d (%s): %s, and the transition goes on: it waits for %s; 'ftrace patch status %d' shows how far it is, 'ftrace patch %s' turns it round, 'ftrace patch force %d %s' ends it",
			 w->name, call->pid, call->comm, what, who, call->pid,
			 is(patch_states_find(w->s, w->name), "enabling") ? "revert" : "apply", call->pid,
			 w->name);
}

/* Look until the transition is over. 0; else what to exit with, said; -ETIMEDOUT: it is to be turned round. */
static int wait_for_transition(struct wait *w)
{
	uint64_t began = now_us(), say = began + SAY_MS * 1000;
	uint64_t until = w->opt->timeout_ms ? began + w->opt->timeout_ms * 1000 : 0;
	struct timespec pause = { .tv_nsec = LOOK_MS * 1000000l };

	while (is_moving(patch_states_find(w->s, w->name))) {
		struct patch_states fresh;
		bool ended;
		char *text;

		w->waited = true;
		if (w->opt->no_wait)
			return give_up(w, "not waited for");
		if (interrupted)
			return give_up(w, "interrupted");
		if (until && now_us() > until)
			return give_up(w, "not done in time");
		if (patch_call_gone(w->call))
			return cmd_error("%s: process %d (%s): has ended", w->name, w->call->pid, w->call->comm);
		nanosleep(&pause, NULL);
		text = patch_call_watch(w->call, &ended);
		if (!text || (*text && patch_states_parse(&fresh, text)))
			return cmd_error("no memory");
		if (*text) {
			patch_states_free(w->s);
			*w->s = fresh;
		} else {
			free(text);
		}
		if (ended && is_moving(patch_states_find(w->s, w->name)))
			return cmd_error("%s: process %d (%s): too many others look on; see 'ftrace patch status %d'",
					 w->name, w->call->pid, w->call->comm, w->call->pid);
		if (now_us() > say && is_moving(patch_states_find(w->s, w->name))) {
			say_who(w);
			say = now_us() + SAY_AGAIN_MS * 1000;
		}
	}
	if (is(patch_states_find(w->s, w->name), w->wanted))
		return 0;
	return cmd_error("%s: process %d (%s): was turned round meanwhile: it is %s", w->name, w->call->pid,
			 w->call->comm, patch_states_find(w->s, w->name) ?
			 patch_states_find(w->s, w->name)->state : "gone");
}

static const char *plural(unsigned long n)
{
	return n == 1 ? "" : "s";
}

static void say_done(const struct wait *w, const char *what, uint64_t began_us)
{
	const struct ftrace_request *r = w->call->request;
	const struct patch_state *p = patch_states_find(w->s, w->name);

	if (w->opt->quiet)
		return;
	printf("%s: %s process %d (%s) in %.1f ms: %zu function%s; one thread borrowed for %.1f ms, all threads stopped %llu time%s%s, %.2f ms at most\n",
	       w->name, what, w->call->pid, w->call->comm, (double)(now_us() - began_us) / 1e3, p->functions,
	       plural(p->functions), (double)w->call->borrowed_ns / 1e6, (unsigned long long)r->stops,
	       plural(r->stops), w->waited ? " at first" : "", (double)r->stop_max_ns / 1e6);
	fflush(stdout);
}

/* Ask for @state of the patch and see it through. */
static int change(struct wait *w, const char *state, struct patch_check *load)
{
	char text[256];

	snprintf(text, sizeof(text), "livepatch/%s/enabled=%s\nwatch\nlivepatch/patches?\n", w->name, state);
	patch_states_free(w->s);
	if (patch_call_ask(w->call, text, true, load) || read_states(w->call, w->s))
		return 1;
	patch_call_unlock(w->call);
	return 0;
}

/* The time is over: back to where it was. */
static int turn_round(struct wait *w, const char *state)
{
	struct patch_options opt = *w->opt;
	char who[1024];

	patch_states_describe_holders(w->s, who, sizeof(who));
	cmd_error("%s: process %d (%s): not done in time, and turned round: it waited for %s", w->name,
		  w->call->pid, w->call->comm, who);
	opt.timeout_ms = 0;
	opt.reverse = false;
	w->opt = &opt;
	w->wanted = *state == '0' ? "disabled" : "enabled";
	if (!change(w, state, NULL))
		wait_for_transition(w);
	return 1;
}

/* ---- apply ---- */

/* Nonzero: there is nothing to load, and *@status is what to exit with, or -1: it is to be enabled. */
static int is_there_already(struct wait *w, const struct patch_file *file, int *status)
{
	const struct patch_state *p = patch_states_find(w->s, file->name);

	*status = -1;
	if (!p)
		return 0;
	if (strcmp(p->id, file->id)) {
		if (is_off(p))
			return 0;
		*status = cmd_error("%s: process %d (%s): another patch of that name is %s there; revert it first, or give this one another name (KLP_PATCH)",
				    file->path, w->call->pid, w->call->comm, p->state);
		return 1;
	}
	if (is(p, "enabled")) {
		*status = 0;
		if (!w->opt->quiet)
			printf("%s: is applied to process %d (%s) already\n", w->name, w->call->pid,
			       w->call->comm);
	}
	return 1;
}

static int do_apply(struct wait *w, struct patch_file *file, struct patch_check *c)
{
	uint64_t began = now_us();
	int there = patch_call_agent(w->call), err;
	bool loaded = false;

	if (there < 0 || (there && ask_states(w->call, w->s)))
		return 1;
	if (there)
		loaded = is_there_already(w, file, &err);
	if (loaded && err >= 0)
		return err;
	if (patch_call_plans(w->call, c) || change(w, "1", loaded ? NULL : c))
		return 1;
	err = wait_for_transition(w);
	if (err == -ETIMEDOUT)
		return turn_round(w, "0");
	if (!err)
		say_done(w, "applied to", began);
	return err;
}

static int check_process(struct patch_check *c, struct patch_file *file, struct patch_call *call,
			 const struct patch_options *opt)
{
	static char where[64];
	struct target t;
	int err;

	snprintf(where, sizeof(where), "process %d (%s)", call->pid, call->comm);
	if (patch_check_begin(c, file))
		return 1;
	c->where = where;
	c->any_build = opt->any_build;
	if (target_open(&t, call->pid))
		return 1;
	err = patch_check_use_process(c, &t);
	target_close(&t);
	return err || patch_check(c);
}

int patch_apply(pid_t pid, struct patch_file *file, const struct patch_options *opt)
{
	struct patch_states s = { 0 };
	struct patch_call call;
	struct patch_check c = { 0 };
	struct wait w = { &call, opt, file->name, "enabled", &s, false };
	int err;

	if (patch_call_open(&call, pid))
		return 1;
	err = check_process(&c, file, &call, opt);
	if (!err)
		err = do_apply(&w, file, &c);
	patch_states_free(&s);
	patch_check_end(&c);
	patch_call_close(&call);
	return err;
}

int patch_check_process(pid_t pid, struct patch_file *file, const struct patch_options *opt)
{
	struct patch_check c = { 0 };
	struct patch_call call;
	int err;

	if (patch_call_open(&call, pid))
		return 1;
	err = check_process(&c, file, &call, opt);
	if (!err)
		printf("%s: can be applied to %s\n", file->path, c.where);
	patch_check_end(&c);
	patch_call_close(&call);
	return err;
}

/* ---- revert, force ---- */

/* The patch that is meant: @name, or the only one that is not reverted. */
static const struct patch_state *choose(const struct patch_call *call, struct patch_states *s, const char *name)
{
	const struct patch_state *p = NULL;
	size_t n = 0;

	if (name) {
		p = patch_states_find(s, name);
		if (!p)
			cmd_error("%s: process %d (%s): no such patch there; 'ftrace patch list %d' shows which there are",
				  name, call->pid, call->comm, call->pid);
		return p;
	}
	for (size_t i = 0; i < s->n; i++)
		if (!is_off(&s->patches[i])) {
			p = &s->patches[i];
			n++;
		}
	if (n == 1)
		return p;
	cmd_error(n ? "process %d (%s): there are %zu patches; say which: 'ftrace patch list %d' shows them" :
		  "process %d (%s): has no patch", call->pid, call->comm, n, call->pid);
	return NULL;
}

/* Open the process and find the patch. 0, or what to exit with; w->name is the patch's, for free(). */
static int open_patch(struct wait *w, pid_t pid, const char *name)
{
	const struct patch_state *p;

	if (patch_call_open(w->call, pid))
		return 1;
	switch (patch_call_agent(w->call)) {
	case 0:
		return cmd_error("process %d (%s): has no patch", pid, w->call->comm);
	case 1:
		if (!ask_states(w->call, w->s))
			break;
		/* fall through */
	default:
		return 1;
	}
	p = choose(w->call, w->s, name);
	if (!p)
		return 1;
	w->name = strdup(p->name);
	return w->name ? 0 : cmd_error("no memory");
}

static void close_patch(struct wait *w)
{
	patch_states_free(w->s);
	patch_call_close(w->call);
	free((char *)w->name);
}

static int do_revert(struct wait *w)
{
	uint64_t began = now_us();
	int err;

	if (is_off(patch_states_find(w->s, w->name)))
		return cmd_error("%s: process %d (%s): is reverted already", w->name, w->call->pid,
				 w->call->comm);
	if (change(w, "0", NULL))
		return 1;
	err = wait_for_transition(w);
	if (err == -ETIMEDOUT)
		return turn_round(w, "1");
	if (!err)
		say_done(w, "reverted in", began);
	return err;
}

int patch_revert(pid_t pid, const char *name, const struct patch_options *opt)
{
	struct patch_states s = { 0 };
	struct patch_call call;
	struct wait w = { &call, opt, NULL, "disabled", &s, false };
	int err = open_patch(&w, pid, name);

	if (!err)
		err = do_revert(&w);
	close_patch(&w);
	return err;
}

static int do_force(struct wait *w)
{
	char text[256], who[1024];

	if (!is_moving(patch_states_find(w->s, w->name)))
		return cmd_error("%s: process %d (%s): is %s, and not on its way; there is nothing to force",
				 w->name, w->call->pid, w->call->comm,
				 patch_states_find(w->s, w->name)->state);
	patch_states_describe_holders(w->s, who, sizeof(who));
	snprintf(text, sizeof(text), "livepatch/%s/force=1\nlivepatch/patches?\n", w->name);
	patch_states_free(w->s);
	if (patch_call_ask(w->call, text, true, NULL) || read_states(w->call, w->s))
		return 1;
	if (!w->opt->quiet)
		printf("%s: forced in process %d (%s): %s; left behind: %s\n", w->name, w->call->pid,
		       w->call->comm, patch_states_find(w->s, w->name)->state, who);
	return 0;
}

int patch_force(pid_t pid, const char *name, const struct patch_options *opt)
{
	struct patch_states s = { 0 };
	struct patch_call call;
	struct wait w = { &call, opt, NULL, NULL, &s, false };
	int err = open_patch(&w, pid, name);

	if (!err)
		err = do_force(&w);
	close_patch(&w);
	return err;
}

/* ---- list, status ---- */

int patch_show_process(pid_t pid, const char *name, bool details)
{
	struct patch_states s = { 0 };
	struct patch_call call;
	int err, there;

	if (patch_call_open(&call, pid))
		return 1;
	there = patch_call_agent(&call);
	err = there < 0 || (there && ask_states(&call, &s));
	if (!err && name && (!there || !choose(&call, &s, name)))
		err = there ? 1 : cmd_error("process %d (%s): has no patch", pid, call.comm);
	if (!err && details && s.n)
		printf("process %d (%s)\n", pid, call.comm);
	if (!err && details)
		patch_states_show(&s, name);
	else if (!err)
		patch_states_list(&s, pid, call.comm);
	if (!err && !s.n && details)
		printf("process %d (%s): has no patch\n", pid, call.comm);
	patch_states_free(&s);
	patch_call_close(&call);
	return err;
}
