/* SPDX-License-Identifier: MIT */
/* Probes at the entry and the return of functions that can be traced. */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static const char *plugin_path;

struct seen {
	int pre, post;
	unsigned long ip, post_ip;
	long arg;
};
static struct seen seen;

static int count_pre(struct kprobe *p, struct pt_regs *regs)
{
	seen.pre++;
	seen.ip = instruction_pointer(regs);
	return 0;
}

static void count_post(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
	seen.post++;
	seen.post_ip = instruction_pointer(regs);
}

static void test_entry(void)
{
	struct kprobe kp = { .symbol_name = "target_add", .pre_handler = count_pre,
			     .post_handler = count_post };
	unsigned long at;

	ok(!register_kprobe(&kp), "a probe at the entry of a function");
	ok(kp.flags & KPROBE_FLAG_FTRACE && kp.flags & KPROBE_FLAG_ON_FUNC_ENTRY,
	   "it rides on the tracer");
	at = (unsigned long)kp.addr;
	ok(target_add(3, 4) == 7 && seen.pre == 1 && seen.post == 1, "both handlers are called");
	ok(seen.ip == at && seen.post_ip > at, "ip is the probe's, then behind it");
	ok(target_twice(4) == 8 && seen.pre == 2, "for a call from another function, too");
	ok(!disable_kprobe(&kp) && target_add(1, 2) == 3 && seen.pre == 2, "disabled, not");
	ok(!enable_kprobe(&kp) && target_add(1, 2) == 3 && seen.pre == 3, "enabled again");
	ok(refused(register_kprobe(&kp), -EINVAL, "not both"), "twice is refused");
	unregister_kprobe(&kp);
	ok(target_add(3, 4) == 7 && seen.pre == 3, "unregistered, not");
	ok(!kp.addr && !register_kprobe(&kp) && target_add(3, 4) == 7 && seen.pre == 4,
	   "it can be registered again");
	unregister_kprobe(&kp);
	kp = (struct kprobe){ .addr = (kprobe_opcode_t *)target_add, .pre_handler = count_pre,
			      .flags = KPROBE_FLAG_DISABLED };
	ok(!register_kprobe(&kp) && target_add(3, 4) == 7 && seen.pre == 4,
	   "registered disabled, by address");
	ok(!enable_kprobe(&kp) && target_add(3, 4) == 7 && seen.pre == 5, "enabled then");
	unregister_kprobe(&kp);
}

/* ---- handlers change things ---- */

static int change_argument(struct kprobe *p, struct pt_regs *regs)
{
	ARG0(regs) = 100;
	return 0;
}

static int go_to_other(struct kprobe *p, struct pt_regs *regs)
{
	instruction_pointer_set(regs, (unsigned long)target_other);
	return 1;
}

static int ignored_change(struct kprobe *p, struct pt_regs *regs)
{
	instruction_pointer_set(regs, (unsigned long)target_other);
	return 0;
}

static int nothing_changed(struct kprobe *p, struct pt_regs *regs)
{
	return 1;
}

static void test_changes(void)
{
	struct kprobe kp = { .symbol_name = "target_twice", .pre_handler = change_argument };
	struct kprobe second = { .symbol_name = "target_twice", .pre_handler = count_pre,
				 .post_handler = count_post };

	seen.pre = seen.post = 0;
	register_kprobe(&kp);
	ok(target_twice(1) == 200, "a changed argument counts");
	unregister_kprobe(&kp);
	kp.pre_handler = go_to_other;
	kp.post_handler = count_post;
	register_kprobe(&kp);
	register_kprobe(&second);
	ok(target_twice(1) == 1001, "nonzero: it goes on where ip says");
	ok(!seen.pre && !seen.post, "and no other handler of this address is called");
	unregister_kprobe(&kp);
	kp.pre_handler = ignored_change;
	register_kprobe(&kp);
	ok(target_twice(1) == 2 && seen.pre == 1 && seen.post == 2, "zero: a changed ip does not count");
	unregister_kprobe(&kp);
	kp.pre_handler = nothing_changed;
	kp.post_handler = NULL;
	register_kprobe(&kp);
	ok(target_twice(1) == 2 && seen.pre == 2, "nonzero without a change is zero");
	unregister_kprobe(&kp);
	ok(target_twice(1) == 2 && seen.pre == 3, "the other stays");
	unregister_kprobe(&second);
}

/* ---- in handlers ---- */

static int calls_probed(struct kprobe *p, struct pt_regs *regs)
{
	seen.pre++;
	return target_add(1, 1) == 2 ? 0 : 1;
}

static int ret_value;
static int ret_count;

static int take_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	ret_value = (int)regs_return_value(regs);
	ret_count++;
	return 0;
}

static int called_back(int a)
{
	return target_add(a, 1);
}

static void test_nested(void)
{
	struct kprobe outer = { .symbol_name = "target_twice", .pre_handler = calls_probed };
	struct kprobe inner = { .symbol_name = "target_add", .pre_handler = count_pre };
	struct kretprobe ret = { .kp.symbol_name = "target_add", .handler = take_return };
	struct kprobe *both[] = { &outer, &inner };

	seen.pre = ret_count = 0;
	ok(!register_kprobes(both, 2), "two at once");
	ok(!register_kretprobe(&ret), "and a return");
	ok(target_twice(5) == 10 && seen.pre == 2 && inner.nmissed == 1 && !outer.nmissed,
	   "a probe that is hit in a handler is counted as missed");
	ok(ret.nmissed == 1 && ret_count == 1, "so is a return");
	ok(target_call(called_back, 1) == 2 && seen.pre == 3, "outside of one it is not");
	unregister_kprobes(both, 2);
	unregister_kretprobe(&ret);
}

static int unregisters(struct kprobe *p, struct pt_regs *regs)
{
	unregister_kprobe(p);
	return 0;
}

static void test_from_handler(void)
{
	struct kprobe kp = { .symbol_name = "target_add", .pre_handler = unregisters };

	register_kprobe(&kp);
	ok(target_add(1, 1) == 2 && strstr(last_said, "called from a handler"),
	   "unregistering from a handler is refused");
	unregister_kprobe(&kp);
}

/* ---- returns ---- */

struct data {
	int arg, pad[60];
};
static bool data_kept = true;

static int remember(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct data *d = (struct data *)ri->data;

	d->arg = (int)ARG0(regs);
	for (int i = 0; i < 60; i++)
		d->pad[i] = d->arg + i;
	return d->arg == 13;
}

static int recall(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct data *d = (struct data *)ri->data;

	for (int i = 0; i < 60; i++)
		data_kept &= d->pad[i] == d->arg + i;
	data_kept &= d->arg == (int)regs_return_value(regs);
	ret_count++;
	return 0;
}

static int change_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	regs_set_return_value(regs, 77);
	return 0;
}

static void test_returns(void)
{
	struct kretprobe ret = { .kp.symbol_name = "target_recurse", .handler = recall,
				 .entry_handler = remember, .data_size = sizeof(struct data) };
	struct kretprobe change = { .kp.symbol_name = "target_add", .handler = change_return };
	jmp_buf env;

	ret_count = 0;
	ok(!register_kretprobe(&ret), "a probe of returns");
	ok(target_recurse(12) == 12 && ret_count == 13, "every return is seen");
	ok(target_recurse(14) == 14 && ret_count == 13 + 14, "but one that entry_handler lets go");
	ok(target_recurse(100000) == 100000 && ret_count == 13 + 14 + 100000 && !ret.nmissed,
	   "a hundred thousand under way");
	ok(data_kept, "the data of each call is kept");
	unregister_kretprobe(&ret);
	ok(!register_kretprobe(&change) && target_add(1, 1) == 77, "a changed return value counts");
	unregister_kretprobe(&change);
	ok(target_add(1, 1) == 2, "no more when it is gone");

	ret = (struct kretprobe){ .kp.symbol_name = "target_jump", .handler = take_return };
	ret_count = 0;
	ok(!register_kretprobe(&ret), "a function that is left by longjmp");
	for (volatile int i = 0; i < 3; i++)
		if (!setjmp(env))
			target_jump(&env);
	ok(!ret_count && !ret.nmissed, "does not return");
	unregister_kretprobe(&ret);

	ret = (struct kretprobe){ .kp = { .symbol_name = "target_add", .offset = 1 },
				  .handler = take_return };
	ok(refused(register_kretprobe(&ret), -EINVAL, "entry"), "a return in the middle is refused");
	ret = (struct kretprobe){ .kp.symbol_name = "target_add", .handler = take_return,
				  .data_size = KRETPROBE_MAX_DATA_SIZE + 1 };
	ok(refused(register_kretprobe(&ret), -EINVAL, "bytes of data"), "too much data is refused");
	ret.data_size = 0;
	ret.handler = NULL;
	ok(refused(register_kretprobe(&ret), -EINVAL, "no handler"), "no handler is refused");
}

/* A kretprobe may go while calls that it has hooked are under way. */
static struct kretprobe going;

static int unregister_it(int a)
{
	unregister_kretprobe(&going);
	memset(&going, 0xee, sizeof(going));
	return a;
}

static void test_return_gone(void)
{
	going = (struct kretprobe){ .kp.symbol_name = "target_call", .handler = take_return };
	ret_count = 0;
	ok(!register_kretprobe(&going), "a probe of a function that unregisters it");
	ok(target_call(unregister_it, 5) == 5 && !ret_count, "the return is let go");
	memset(&going, 0, sizeof(going));
}

/* ---- floating point, tracers beside it ---- */

static double half_arg, half_ret;

static int take_double(struct kprobe *p, struct pt_regs *regs)
{
	half_arg = regs_get_fp_argument(regs, 0);
	return 0;
}

static int take_double_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	half_ret = regs_get_fp_argument(regs, 0);
	return 0;
}

static int silent_calls;

static void silent_tracer(unsigned long ip, unsigned long parent, struct ftrace_ops *op,
			  struct pt_regs *regs)
{
	silent_calls++;
}

static void test_beside(void)
{
	struct kprobe kp = { .symbol_name = "target_half", .pre_handler = take_double };
	struct kretprobe ret = { .kp.symbol_name = "target_half", .handler = take_double_return };
	struct ftrace_ops ops = { .func = silent_tracer };
	struct kprobe general = { .symbol_name = "target_half", .pre_handler = count_pre,
				  .flags = KPROBE_FLAG_GENERAL_REGS };

	seen.pre = 0;
	ok(!register_kprobe(&general) && target_half(5) == 2.5 && seen.pre == 1,
	   "a handler without vector registers");
	register_kprobe(&kp);
	ok(target_half(3) == 1.5 && seen.pre == 2, "beside one with them: each called once");
#ifdef __LP64__
	ok(half_arg == 3, "which sees a floating point argument");
#endif
	register_kretprobe(&ret);
#ifdef __LP64__
	ok(target_half(9) == 4.5 && half_ret == 4.5, "and one that is returned");
#endif
	ftrace_set_filter(&ops, "target_half", 11, 1);
	register_ftrace_function(&ops);
	half_arg = half_ret = 0;
	target_half(7);
	ok(silent_calls == 1 && seen.pre >= 3, "a tracer at the same function");
	ftrace_stop();
	seen.pre = 0;
	ok(target_half(7) == 3.5 && seen.pre == 1 && silent_calls == 1,
	   "that is silent, which probes are not");
#ifdef __LP64__
	ok(half_ret == 3.5, "nor those of returns");
#endif
	unregister_ftrace_function(&ops);
	ok(target_half(7) == 3.5 && seen.pre == 2, "alone, too");
	unregister_kretprobe(&ret);
	unregister_kprobe(&kp);
	ok(target_half(7) == 3.5 && seen.pre == 3, "with the fastest way in, too");
	ftrace_start();
	ftrace_free_filter(&ops);
	unregister_kprobe(&general);
	ok(target_half(7) == 3.5 && seen.pre == 3, "all gone");
}

/* ---- objects that go ---- */

static void test_dlclose(void)
{
	void *plugin = dlopen(plugin_path, RTLD_NOW);
	int (*value)(int) = (int (*)(int))dlsym(plugin, "plugin_value");
	struct kprobe kp = { .symbol_name = "plugin_value", .pre_handler = count_pre };
	struct kretprobe ret = { .kp.symbol_name = "plugin_value", .handler = take_return };

	seen.pre = ret_count = 0;
	ok(!register_kprobe(&kp) && !register_kretprobe(&ret) && value(1) == 2 && seen.pre == 1 &&
	   ret_count == 1, "probes in a library that was loaded later");
	dlclose(plugin);
	ok(kp.flags & KPROBE_FLAG_GONE && ret.kp.flags & KPROBE_FLAG_GONE, "it goes, and they are gone");
	ok(refused(enable_kprobe(&kp), -EINVAL, "unloaded"), "and cannot be enabled");
	plugin = dlopen(plugin_path, RTLD_NOW);
	value = (int (*)(int))dlsym(plugin, "plugin_value");
	ok(value(1) == 2 && seen.pre == 1 && ret_count == 1, "nor do they come back with it");
	unregister_kretprobe(&ret);
	ok(!register_kretprobe(&ret) && value(1) == 2 && ret_count == 2, "before they are registered again");
	unregister_kprobe(&kp);
	ok(!register_kprobe(&kp) && value(1) == 2 && seen.pre == 2, "each of them");
	unregister_kprobe(&kp);
	unregister_kretprobe(&ret);
	dlclose(plugin);
	ok(refused(register_kprobe(&kp), -ENOENT, "plugin_value"), "nobody knows the function then");
}

/* ---- many threads ---- */

static bool stop_threads;
static unsigned long calls;

static void *call_on(void *arg)
{
	unsigned long n = 0;

	while (!__atomic_load_n(&stop_threads, __ATOMIC_RELAXED)) {
		if (target_twice((int)n) != (int)(2 * n) || target_recurse(3) != 3)
			abort();
		n++;
	}
	__atomic_fetch_add(&calls, n, __ATOMIC_RELAXED);
	return NULL;
}

static unsigned long hits;

static int count_atomic(struct kprobe *p, struct pt_regs *regs)
{
	__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
	return 0;
}

static int count_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
	return 0;
}

static void test_threads(void)
{
	struct kprobe a = { .symbol_name = "target_add", .pre_handler = count_atomic };
	struct kprobe b = { .symbol_name = "target_twice", .pre_handler = count_atomic };
	struct kprobe *both[] = { &a, &b };
	struct kretprobe r = { .kp.symbol_name = "target_recurse", .handler = count_return };
	pthread_t thread[3];
	bool good = true;

	for (int i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, call_on, NULL);
	for (int i = 0; i < 200 && good; i++) {
		unsigned long before;

		good = !register_kprobes(both, 2) && !register_kretprobe(&r);
		usleep(200);
		unregister_kprobes(both, 2);
		unregister_kretprobe(&r);
		before = hits;
		usleep(50);
		good &= before == hits;
	}
	__atomic_store_n(&stop_threads, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	ok(good, "registered and unregistered 200 times under three threads");
	printf("# %lu calls, %lu hits\n", calls, hits);
}

static void test_fork(void)
{
	struct kprobe kp = { .symbol_name = "target_add", .pre_handler = count_pre };
	int status;
	pid_t pid;

	register_kprobe(&kp);
	seen.pre = 0;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (target_add(1, 2) != 3 || seen.pre != 1)
			_exit(1);
		unregister_kprobe(&kp);
		_exit(target_add(1, 2) != 3 || seen.pre != 1 || register_kprobe(&kp) ||
		      target_add(1, 2) != 3 || seen.pre != 2);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "a child of fork has its parent's probes");
	ok(target_add(1, 2) == 3 && seen.pre == 1, "and the parent its own");
	unregister_kprobe(&kp);
}

static void test_refusals(void)
{
	struct kprobe kp = { .symbol_name = "no_such_function", .pre_handler = count_pre };
	char name[128];

	ok(refused(register_kprobe(&kp), -ENOENT, "no_such_function"), "an unknown function");
	kp.symbol_name = NULL;
	ok(refused(register_kprobe(&kp), -EINVAL, "address"), "neither symbol nor address");
	kp.symbol_name = "target_add";
	kp.addr = (kprobe_opcode_t *)target_add;
	ok(refused(register_kprobe(&kp), -EINVAL, "not both"), "both");
	kp.addr = NULL;
	kp.offset = 100000;
	ok(refused(register_kprobe(&kp), -ERANGE, "beyond its end"), "beyond its end");
	kp.offset = 0;
	kp.symbol_name = "libc.so.6:target_add";
	ok(refused(register_kprobe(&kp), -ENOENT, "libc.so.6"), "in another object");
	snprintf(name, sizeof(name), "%s:target_add", program_invocation_short_name);
	kp.symbol_name = name;
	ok(!register_kprobe(&kp), "in its own object");
	unregister_kprobe(&kp);
}

static struct kprobe early = { .symbol_name = "target_other", .pre_handler = count_pre };
static int early_err = 1, early_seen;

__attribute__((constructor)) static void before_main(void)
{
	early_err = register_kprobe(&early);
	target_other(1);
	early_seen = seen.pre;
}

int main(int argc, char **argv)
{
	plugin_path = argv[1];
	ftrace_set_log(say);
	ok(!early_err && early_seen == 1, "registered by a constructor");
	unregister_kprobe(&early);
	seen.pre = 0;
	test_entry();
	test_changes();
	test_nested();
	test_from_handler();
	test_returns();
	test_return_gone();
	test_beside();
	test_dlclose();
	test_threads();
	test_fork();
	test_refusals();
	return tap_done();
}
