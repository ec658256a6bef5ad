/* SPDX-License-Identifier: MIT */
/*
 * Patched functions that are traced and probed: everybody sees each call once, in whichever order they came, and
 * the new version runs. Where the new version was compiled for tracing, the trace shows which one ran.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ftrace/fgraph.h>
#include <ftrace/kprobes.h>

#include "test.h"

static struct klp_func funcs[] = {
	{ .old_name = "target_version", .new_func = target_version2 },
	{ .old_name = "target_pid", .new_func = target_pid2 }, { } };
static struct klp_object objs[] = { { .funcs = funcs }, { } };
static struct klp_patch patch = { .name = "traced", .objs = objs };

/* ---- which version ran ---- */

#define MAX_SEEN 16
static struct {
	unsigned long ip;
	int depth;
} seen[MAX_SEEN];
static int nseen, depth, not_returned;

static int enter(struct ftrace_graph_ent *ent, struct fgraph_ops *gops, struct pt_regs *regs)
{
	if (nseen < MAX_SEEN) {
		seen[nseen].ip = ent->func;
		seen[nseen++].depth = depth;
	}
	depth++;
	not_returned++;
	return 1;
}

static void leave(struct ftrace_graph_ret *ret, struct fgraph_ops *gops, struct pt_regs *regs)
{
	depth--;
	not_returned--;
}

static bool is_func(unsigned long ip, int (*func)(void))
{
	return ip - (unsigned long)func < 16;
}

static void which_version(void)
{
	static struct fgraph_ops gops = { .entryfunc = enter, .retfunc = leave };

	ftrace_set_filter(&gops.ops, "target_version*", 15, 1);
	ok(register_ftrace_graph(&gops) == 0, "graph tracing of both versions");
	nseen = 0;
	ok(target_version() == 1 && nseen == 1 && is_func(seen[0].ip, target_version),
	   "the trace shows the original");
	ok(enable(&patch) == 0, "enabled");
	nseen = 0;
	ok(target_version() == 2 && nseen == 2 && is_func(seen[0].ip, target_version) &&
	   is_func(seen[1].ip, target_version2), "the trace shows the call, and the new version in it");
	ok(!not_returned && depth == 0, "every return was seen");
	ok(disable(&patch) == 0, "disabled");
	nseen = 0;
	ok(target_version() == 1 && nseen == 1 && is_func(seen[0].ip, target_version),
	   "the trace shows the original again");
	unregister_ftrace_graph(&gops);
}

/* ---- probes ---- */

static long pre, post, rets, ret_sum;
static bool divert;

static int diverted(void)
{
	return 99;
}

static int pre_handler(struct kprobe *p, struct pt_regs *regs)
{
	pre++;
	if (!divert)
		return 0;
	instruction_pointer_set(regs, (unsigned long)diverted);
	return 1;
}

static void post_handler(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
	post++;
}

static int ret_handler(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	rets++;
	ret_sum += (long)regs_return_value(regs);
	return 0;
}

/* One call, of which each of them is to see one entry, and the return with the version. */
static bool call_is(int version, bool probed)
{
	bool good;

	pre = post = rets = ret_sum = 0;
	good = target_version() == version && pre == probed && post == probed && rets == probed &&
	       ret_sum == (probed ? version : 0);
	if (!good)
		printf("# wanted version %d; %ld pre, %ld post, %ld returns of %ld\n", version, pre, post,
		       rets, ret_sum);
	return good;
}

static void probes(void)
{
	static struct kprobe kp = { .symbol_name = "target_version", .pre_handler = pre_handler,
				    .post_handler = post_handler };
	static struct kretprobe rp = { .kp = { .symbol_name = "target_version" },
				       .handler = ret_handler };

	ok(register_kprobe(&kp) == 0 && register_kretprobe(&rp) == 0 && call_is(1, true),
	   "a probe and a return probe of the original");
	ok(kp.flags & KPROBE_FLAG_FTRACE, "by the tracer");
	ok(enable(&patch) == 0 && call_is(2, true), "a patch comes: they see the new version's calls");
	disable_kprobe(&kp);
	disable_kretprobe(&rp);
	ok(call_is(2, false), "probes that are disabled");
	enable_kprobe(&kp);
	enable_kretprobe(&rp);
	ok(call_is(2, true), "and enabled again");
	divert = true;
	pre = 0;
	ok(target_version() == 99 && pre == 1, "a probe that sends the call elsewhere has the last word");
	divert = false;
	ok(disable(&patch) == 0 && call_is(1, true), "the patch goes, they stay");
	unregister_kprobe(&kp);
	unregister_kretprobe(&rp);
	ok(call_is(1, false), "nobody is left");

	ok(enable(&patch) == 0 && call_is(2, false), "a patch first");
	ok(register_kprobe(&kp) == 0 && register_kretprobe(&rp) == 0 && call_is(2, true),
	   "probes of a patched function");
	unregister_kretprobe(&rp);
	unregister_kprobe(&kp);
	ok(call_is(2, false), "they go, the patch stays");
	ok(disable(&patch) == 0 && call_is(1, false), "disabled");
}

/* ---- threads in system calls ---- */

#define CALLERS 16
static volatile bool stop;

struct caller {
	pthread_t thread;
	volatile int version;		/* of its last call */
	long wrong;
};

/* The new version gives the number the other way round. */
static void *ask(void *arg)
{
	struct caller *c = arg;
	int pid = getpid();

	while (!stop) {
		int got = target_pid();

		if (got == pid || got == -pid)
			c->version = got == pid ? 1 : 2;
		else
			c->wrong++;
	}
	return NULL;
}

static bool all_in(struct caller *callers, int version)
{
	for (int ms = 0; ms < LONG; ms++) {
		int n = 0;

		for (int i = 0; i < CALLERS; i++)
			n += callers[i].version == version;
		if (n == CALLERS)
			return true;
		usleep(1000);
	}
	return false;
}

static void system_calls(void)
{
	static struct caller callers[CALLERS];
	long wrong = 0;

	for (int i = 0; i < CALLERS; i++)
		if (pthread_create(&callers[i].thread, NULL, ask, &callers[i]))
			abort();
	ok(all_in(callers, 1), "threads that do nothing but a system call, in a function");
	ok(klp_enable_patch(&patch) == 0 && klp_wait_transition(LONG) == 0 && all_in(callers, 2),
	   "all of them go over");
	ok(klp_disable_patch(&patch) == 0 && klp_wait_transition(LONG) == 0 && all_in(callers, 1),
	   "and back");
	stop = true;
	for (int i = 0; i < CALLERS; i++) {
		pthread_join(callers[i].thread, NULL);
		wrong += callers[i].wrong;
	}
	ok(!wrong, "no system call has given anything else (%ld)", wrong);
}

/* ---- a thread in the callback of an ops that has the function to itself ---- */

static int callback_fds[2];
static volatile int in_callback, callback_tid, version_behind;

static void wait_in_callback(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op, struct pt_regs *regs)
{
	char c;

	if (syscall(SYS_gettid) != callback_tid)
		return;
	in_callback = 1;
	if (read(callback_fds[0], &c, 1) != 1)
		abort();
}

static void *call_once(void *arg)
{
	callback_tid = (int)syscall(SYS_gettid);
	version_behind = target_version();
	return NULL;
}

/* It will go on in the version that it was about to call. */
static void callback_holds(void)
{
	static struct ftrace_ops ops = { .func = wait_in_callback, .flags = FTRACE_OPS_FL_GENERAL_REGS };
	pthread_t thread;

	ftrace_set_filter(&ops, "target_version", 14, 1);
	ok(!pipe(callback_fds) && register_ftrace_function(&ops) == 0 &&
	   !pthread_create(&thread, NULL, call_once, NULL), "a callback that waits");
	while (!in_callback || !reads(callback_tid))
		usleep(1000);
	ok(klp_enable_patch(&patch) == 0 && klp_wait_transition(200) != 0, "holds a transition up");
	ok(write(callback_fds[1], "", 1) == 1 && !pthread_join(thread, NULL) && version_behind == 1,
	   "its call is one of the original");
	ok(klp_wait_transition(LONG) == 0 && target_version() == 2, "done when it is over");
	ok(disable(&patch) == 0 && target_version() == 1, "disabled");
	ok(unregister_ftrace_function(&ops) == 0, "unregistered");
}

/* ---- what can be read of a patch ---- */

static void attributes(void)
{
	static struct klp_func absent_funcs[] = {
		{ .old_name = "nothing", .new_func = target_version2 }, { } };
	static struct klp_object two[] = {
		{ .funcs = funcs }, { .name = "libabsent.so.9", .funcs = absent_funcs }, { } };
	static struct klp_patch p = { .name = "attributes", .objs = two };
	struct klp_transition t = { .nholders = 9 };

	ok(!klp_is_enabled(&p) && !two[0].patched && !two[1].patched, "nothing before");
	ok(klp_transition_status(&t, NULL, NULL) == 0 && !t.patch && !t.nholders, "no transition");
	ok(enable(&p) == 0 && klp_is_enabled(&p), "enabled");
	ok(two[0].patched, "the object that is loaded is patched");
	ok(!two[1].patched, "the one that is not is not");
	ok(!p.replace, "it replaces nobody");
	ok(disable(&p) == 0 && !klp_is_enabled(&p) && !two[0].patched && !two[1].patched,
	   "disabled: nothing is");
	p.replace = true;
	ok(enable(&patch) == 0 && enable(&p) == 0 && !klp_is_enabled(&patch) && !objs[0].patched &&
	   two[0].patched, "one that replaces: the other's object is not patched any more");
	ok(disable(&p) == 0, "disabled");
}

int main(void)
{
	ftrace_set_log(say);
	which_version();
	probes();
	system_calls();
	callback_holds();
	attributes();
	return tap_done();
}
