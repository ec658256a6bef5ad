/* SPDX-License-Identifier: MIT */
/* Transitions: threads that have a function on their stack, in system calls, in handlers, on coroutines. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <ftrace/fgraph.h>

#include "test.h"

static int wait2(int fd)
{
	char c;
	int n = (int)read(fd, &c, 1);

	return n == 1 ? 2 : -1;
}

static int version2(void) { return 2; }

static struct klp_func wait_funcs[] = {
	{ .old_name = "target_wait", .new_func = wait2 },
	{ .old_name = "target_version", .new_func = version2 }, { } };
static struct klp_object wait_objs[] = { { .funcs = wait_funcs }, { } };
static struct klp_patch wait_patch = { .name = "wait", .objs = wait_objs };

/* ---- one thread that waits ---- */


struct waiter {
	pthread_t thread;
	int fds[2];
	int tid;
	int result;		/* of target_wait() */
	int version;		/* target_version() afterwards */
};

static void *wait_in(void *arg)
{
	struct waiter *w = arg;

	__atomic_store_n(&w->tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	w->result = target_wait(w->fds[0]);
	w->version = target_version();
	return NULL;
}

static void begin(struct waiter *w)
{
	w->tid = 0;
	if (pipe(w->fds))
		abort();
	pthread_create(&w->thread, NULL, wait_in, w);
	while (!__atomic_load_n(&w->tid, __ATOMIC_ACQUIRE) || !reads(w->tid))
		usleep(1000);
}

static void end(struct waiter *w)
{
	if (write(w->fds[1], "x", 1) != 1)
		abort();
	pthread_join(w->thread, NULL);
	close(w->fds[0]);
	close(w->fds[1]);
}

struct seen {
	int tid;
	char func[64];
	char why[64];
	int n;
};

static int see(const struct klp_holder *h, void *data)
{
	struct seen *s = data;

	s->tid = h->tid;
	snprintf(s->func, sizeof(s->func), "%s", h->func ? h->func : "");
	snprintf(s->why, sizeof(s->why), "%s", h->why);
	s->n++;
	return 0;
}

static bool held_by(const struct waiter *w, const char *func)
{
	struct seen s = { 0 };
	struct klp_transition t;

	klp_transition_status(&t, see, &s);
	if (s.n == 1 && s.tid == w->tid && !strcmp(s.func, func) && t.nholders == 1)
		return true;
	printf("# %d holders, the last is %d in %s (%s), not %d\n", s.n, s.tid, s.func, s.why, w->tid);
	return false;
}

static int call_wait(void)
{
	int p[2], result;

	if (pipe(p) || write(p[1], "x", 1) != 1)
		abort();
	result = target_wait(p[0]);
	close(p[0]);
	close(p[1]);
	return result;
}

static void *call_version(void *arg)
{
	*(int *)arg = target_version();
	return NULL;
}

static int version_of_new_thread(void)
{
	pthread_t t;
	int v = 0;

	pthread_create(&t, NULL, call_version, &v);
	pthread_join(t, NULL);
	return v;
}

static void waiting(void)
{
	struct waiter w;
	struct klp_transition t;

	begin(&w);
	ok(klp_enable_patch(&wait_patch) == 0, "enabled while a thread waits in the function");
	ok(klp_wait_transition(100) == 1, "it holds the transition up");
	ok(held_by(&w, "target_wait"), "the status says who, and where");
	klp_transition_status(&t, NULL, NULL);
	ok(t.patch == &wait_patch && t.enabling, "and what is going on");
	ok(call_wait() == 2 && target_version() == 2, "this thread has gone over");
	ok(version_of_new_thread() == 2, "and so do new ones");
	ok(refused(klp_enable_patch(&wait_patch), -EBUSY, "transition"), "no second transition");
	end(&w);
	ok(w.result == 1, "the thread has ended in the version it was in");
	ok(klp_wait_transition(LONG) == 0, "and the transition with it");
	klp_transition_status(&t, NULL, NULL);
	ok(!t.patch, "no transition");

	begin(&w);
	ok(klp_disable_patch(&wait_patch) == 0 && klp_wait_transition(50) == 1 &&
	   held_by(&w, "target_wait"), "the same when disabling");
	ok(call_wait() == 1 && target_version() == 1 && version_of_new_thread() == 1,
	   "this thread is back");
	end(&w);
	ok(w.result == 2, "that one was not");
	ok(klp_wait_transition(LONG) == 0 && !klp_is_enabled(&wait_patch), "done");
}

static void reversed(void)
{
	struct waiter w;

	begin(&w);
	ok(klp_enable_patch(&wait_patch) == 0 && klp_wait_transition(20) == 1, "held up");
	ok(klp_disable_patch(&wait_patch) == 0, "turned round");
	ok(klp_wait_transition(LONG) == 0 && !klp_is_enabled(&wait_patch),
	   "nobody holds up the way back");
	ok(call_wait() == 1 && target_version() == 1, "the original");
	end(&w);
	ok(w.result == 1 && w.version == 1, "and in the thread");

	ok(enable(&wait_patch) == 0, "enabled");
	begin(&w);
	ok(klp_disable_patch(&wait_patch) == 0 && klp_wait_transition(20) == 1, "held up");
	ok(klp_reverse_transition() == 0 && klp_wait_transition(LONG) == 0 &&
	   klp_is_enabled(&wait_patch), "turned round: it stays");
	end(&w);
	ok(w.result == 2 && w.version == 2 && target_version() == 2, "patched everywhere");
	ok(disable(&wait_patch) == 0, "disabled");
	last_said[0] = 0;
	ok(refused(klp_reverse_transition(), -EINVAL, "no transition"), "nothing to turn round");
}

static void forced(void)
{
	struct waiter w;

	begin(&w);
	ok(klp_enable_patch(&wait_patch) == 0 && klp_wait_transition(20) == 1, "held up");
	ok(klp_force_transition() == 0 && klp_transition_work() == 0, "forced");
	ok(call_wait() == 2, "this thread runs the new one");
	end(&w);
	ok(w.result == 1 && w.version == 2, "that one has come from old to new");
	ok(disable(&wait_patch) == 0, "disabled");
	ok(refused(klp_force_transition(), -EINVAL, "no transition"), "nothing to force");
}

static long entries, returns;

static int enter(struct ftrace_graph_ent *ent, struct fgraph_ops *gops, struct pt_regs *regs)
{
	__atomic_fetch_add(&entries, 1, __ATOMIC_RELAXED);
	return 1;
}

static void leave(struct ftrace_graph_ret *ret, struct fgraph_ops *gops, struct pt_regs *regs)
{
	__atomic_fetch_add(&returns, 1, __ATOMIC_RELAXED);
}

/* The same with the waiting call's return hooked: its return address is in the shadow. */
static void traced(void)
{
	static struct fgraph_ops gops = { .entryfunc = enter, .retfunc = leave };
	struct waiter w;

	ftrace_set_filter(&gops.ops, "target_*", 8, 1);
	ok(register_ftrace_graph(&gops) == 0, "graph tracing");
	begin(&w);
	ok(klp_enable_patch(&wait_patch) == 0 && klp_wait_transition(30) == 1 &&
	   held_by(&w, "target_wait"), "held up by a hooked call");
	ok(call_wait() == 2, "this thread has gone over");
	end(&w);
	ok(klp_wait_transition(LONG) == 0 && w.result == 1 && entries == returns, "done");
	begin(&w);
	ok(klp_disable_patch(&wait_patch) == 0 && klp_wait_transition(30) == 1 &&
	   held_by(&w, "target_wait"), "the way back, too");
	end(&w);
	ok(klp_wait_transition(LONG) == 0 && w.result == 2, "done");
	unregister_ftrace_graph(&gops);
}

static int handler_pipe[2];

static void handler(int sig)
{
	char c;

	if (read(handler_pipe[0], &c, 1) != 1)
		abort();
}

/* A signal handler stands above the function: the walk goes through the signal's frame. */
static void in_handler(bool own_stack)
{
	static char stack[65536];
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct waiter w;

	if (pipe(handler_pipe))
		abort();
	if (own_stack)
		sa.sa_flags |= SA_ONSTACK;
	sigaction(SIGUSR1, &sa, NULL);
	sigaltstack(&ss, NULL);		/* of this thread: the waiter's has none */
	begin(&w);
	pthread_kill(w.thread, SIGUSR1);
	for (int i = 0; i < 20; i++)
		usleep(1000);
	ok(klp_enable_patch(&wait_patch) == 0 && klp_wait_transition(30) == 1 &&
	   held_by(&w, "target_wait"), "held up by a function below a signal handler");
	if (write(handler_pipe[1], "x", 1) != 1)
		abort();
	usleep(2000);
	ok(klp_wait_transition(20) == 1 && held_by(&w, "target_wait"), "and when that has returned");
	end(&w);
	ok(klp_wait_transition(LONG) == 0 && (w.result == 1 || w.result == -1), "done");
	ok(disable(&wait_patch) == 0, "disabled");
	close(handler_pipe[0]);
	close(handler_pipe[1]);
}

/* ---- coroutines ---- */

static ucontext_t main_context, coroutine;
static bool in_coroutine_held;
static char in_coroutine_why[64];

static int call2(void (*func)(void))
{
	func();
	return 2;
}

static struct klp_func call_funcs[] = { { .old_name = "target_call", .new_func = call2 }, { } };
static struct klp_object call_objs[] = { { .funcs = call_funcs }, { } };
static struct klp_patch call_patch = { .name = "call", .objs = call_objs };

/* The main stack is left in the middle of target_call(): what is on it is not on ours. */
static void on_coroutine(void)
{
	struct seen s = { 0 };
	struct klp_transition t;

	in_coroutine_held = klp_enable_patch(&call_patch) == 0 && klp_wait_transition(20) == 1;
	klp_transition_status(&t, see, &s);
	snprintf(in_coroutine_why, sizeof(in_coroutine_why), "%s", s.why);
	swapcontext(&coroutine, &main_context);
}

static void to_coroutine(void)
{
	swapcontext(&main_context, &coroutine);
}

static void nothing(void)
{
}

static void coroutines(void)
{
	static char stack[1 << 18];

	getcontext(&coroutine);
	coroutine.uc_stack.ss_sp = stack;
	coroutine.uc_stack.ss_size = sizeof(stack);
	makecontext(&coroutine, on_coroutine, 0);
	ok(target_call(to_coroutine) == 1, "a stack is left in the middle of a function");
	/* Where it cannot even be unwound to its start, that is the reason. */
	ok(in_coroutine_held && (strstr(in_coroutine_why, "coroutine") ||
				 strstr(in_coroutine_why, "unwound")),
	   "whoever is on a coroutine's stack stays: %s", in_coroutine_why);
	ok(klp_wait_transition(LONG) == 0 && target_call(nothing) == 2, "until it is back");
	ok(disable(&call_patch) == 0 && target_call(nothing) == 1, "disabled");
}

/* ---- fork in the middle ---- */

static void forked(void)
{
	struct waiter w;
	int status = 0;
	pid_t pid;

	begin(&w);
	ok(klp_enable_patch(&wait_patch) == 0 && klp_wait_transition(20) == 1, "held up");
	pid = fork();
	if (!pid) {
		/* Where the transition comes from, until somebody looks. */
		if (target_version() != 1)
			_exit(1);
		if (klp_wait_transition(LONG) != 0)
			_exit(2);
		_exit(target_version() == 2 ? 0 : 3);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "a child of fork goes over by itself (status %#x)", status);
	end(&w);
	ok(klp_wait_transition(LONG) == 0 && disable(&wait_patch) == 0, "its parent as well");
}

int main(void)
{
	ftrace_set_log(say);
	waiting();
	reversed();
	forced();
	traced();
	in_handler(false);
	in_handler(true);
	coroutines();
	forked();
	return tap_done();
}
