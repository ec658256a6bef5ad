/* SPDX-License-Identifier: MIT */
/* Patches of libraries that are loaded later, go, and come back, at every point. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"

static const char *plugin_path;
static void *plugin;

static int value2(void) { return 2; }
static int value3(void) { return 3; }
static int version2(void) { return 2; }

static int wait2(int fd)
{
	char c;

	return read(fd, &c, 1) == 1 ? 2 : -1;
}

static char events[512];
static int fail_pre;

static void event(const char *what, struct klp_object *o)
{
	if (strlen(events) > sizeof(events) - 32)
		return;
	strcat(events, what);
	strcat(events, o->name ? ":plugin " : " ");
}

static int pre_patch(struct klp_object *o) { event("pre_patch", o); return o->name ? fail_pre : 0; }
static void post_patch(struct klp_object *o) { event("post_patch", o); }
static void pre_unpatch(struct klp_object *o) { event("pre_unpatch", o); }
static void post_unpatch(struct klp_object *o) { event("post_unpatch", o); }

static bool happened(const char *want)
{
	bool good = !strcmp(events, want);

	if (!good)
		printf("# happened: %s; wanted: %s\n", events, want);
	events[0] = 0;
	return good;
}

#define CALLBACKS	{ pre_patch, post_patch, pre_unpatch, post_unpatch, false }
static char plugin_name[64];	/* base name of the plugin */


static struct klp_func own[] = {
	{ .old_name = "target_version", .new_func = version2 },
	{ .old_name = "target_wait", .new_func = wait2 }, { } };
static struct klp_func its[] = { { .old_name = "plugin_value", .new_func = value2 }, { } };
static struct klp_object objs[] = {
	{ .funcs = own, .callbacks = CALLBACKS },
	{ .name = plugin_name, .funcs = its, .callbacks = CALLBACKS }, { } };
static struct klp_patch patch = { .name = "both", .objs = objs };

static struct klp_func its3[] = { { .old_name = "plugin_value", .new_func = value3 }, { } };
static struct klp_object objs3[] = { { .name = plugin_name, .funcs = its3 }, { } };
static struct klp_patch above = { .name = "above", .objs = objs3 };
static struct klp_object objs_none[] = { { .name = "no-such-library.so", .funcs = its3 }, { } };
static struct klp_patch never = { .name = "never", .objs = objs_none };
static struct klp_func missing[] = { { .old_name = "plugin_no_such", .new_func = value3 }, { } };
static struct klp_object objs_missing[] = { { .name = plugin_name, .funcs = missing }, { } };
static struct klp_patch wrong = { .name = "wrong", .objs = objs_missing };

static int value(void)
{
	int (*call)(void) = (int (*)(void))dlsym(plugin, "plugin_call");

	return call ? call() : -1;
}

static int at_load(void)
{
	int *p = dlsym(plugin, "plugin_at_load");

	return p ? *p : -1;
}

static void come(void)
{
	plugin = dlopen(plugin_path, RTLD_NOW);
	if (!plugin)
		printf("# %s\n", dlerror());
}

static void go(void)
{
	dlclose(plugin);
	plugin = NULL;
}

static void loaded_later(void)
{
	ok(enable(&patch) == 0 && happened("pre_patch post_patch "), "enabled before it is loaded");
	ok(!objs[1].patched && target_version() == 2, "the program is patched");
	come();
	ok(happened("pre_patch:plugin post_patch:plugin ") && objs[1].patched, "loaded");
	ok(at_load() == 2, "patched before its constructors ran");
	ok(value() == 2, "and after");
	go();
	ok(happened("pre_unpatch:plugin post_unpatch:plugin ") && !objs[1].patched, "unloaded");
	come();
	ok(value() == 2 && happened("pre_patch:plugin post_patch:plugin "), "loaded again");
	ok(disable(&patch) == 0 && value() == 1 &&
	   happened("pre_unpatch pre_unpatch:plugin post_unpatch post_unpatch:plugin "), "disabled");
	ok(enable(&patch) == 0 && value() == 2, "enabled while it is loaded");
	events[0] = 0;
	go();
	ok(happened("pre_unpatch:plugin post_unpatch:plugin "), "unloaded");
	ok(disable(&patch) == 0 && happened("pre_unpatch post_unpatch "), "disabled without it");
	come();
	ok(value() == 1 && happened(""), "loaded unpatched");
	go();
}

static void stacked(void)
{
	ok(enable(&patch) == 0 && enable(&above) == 0, "two patches of what is not loaded");
	come();
	ok(value() == 3, "the last one wins");
	ok(disable(&above) == 0 && value() == 2, "the one below");
	ok(enable(&never) == 0 && disable(&never) == 0, "one for a library that never comes");
	go();
	ok(disable(&patch) == 0, "disabled");
	events[0] = 0;
}

static void failing(void)
{
	ok(enable(&patch) == 0, "enabled");
	events[0] = 0;
	fail_pre = -EPERM;
	come();
	ok(refused(-EPERM, -EPERM, "stays as it is") && value() == 1 && happened("pre_patch:plugin "),
	   "pre_patch fails when it is loaded: it stays as it is");
	fail_pre = 0;
	go();
	ok(happened(""), "nothing to take back");
	come();
	ok(value() == 2, "patched the next time");
	go();
	ok(disable(&patch) == 0, "disabled");
	ok(enable(&wrong) == 0, "a function that it does not have");
	come();
	ok(refused(-ENOENT, -ENOENT, "stays as it is") && value() == 1, "is said when it is loaded");
	ok(disable(&wrong) == 0, "disabled");
	ok(refused(klp_enable_patch(&wrong), -ENOENT, "plugin_no_such"), "or at once");
	go();
	events[0] = 0;
}

static int pipe_fds[2], waiter;

static void *wait_in(void *arg)
{
	__atomic_store_n(&waiter, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	*(int *)arg = target_wait(pipe_fds[0]);
	return NULL;
}

static pthread_t begin_waiting(int *result)
{
	pthread_t t;

	waiter = 0;
	pthread_create(&t, NULL, wait_in, result);
	while (!__atomic_load_n(&waiter, __ATOMIC_ACQUIRE) || !reads(waiter))
		usleep(1000);
	return t;
}

static void in_transition(void)
{
	pthread_t t;
	int result = 0;

	come();
	if (pipe(pipe_fds))
		abort();
	t = begin_waiting(&result);
	ok(klp_enable_patch(&patch) == 0 && klp_wait_transition(20) == 1, "held up by a thread");
	ok(value() == 2 && happened("pre_patch pre_patch:plugin "), "this one has gone over");
	go();
	ok(happened("post_unpatch:plugin "), "unloaded in the transition");
	ok(klp_wait_transition(20) == 1, "which goes on");
	come();
	ok(happened("pre_patch:plugin ") && value() == 2 && at_load() == 2, "loaded in the transition");
	ok(klp_wait_transition(20) == 1, "which goes on");
	if (write(pipe_fds[1], "x", 1) != 1)
		abort();
	pthread_join(t, NULL);
	ok(result == 1 && klp_wait_transition(LONG) == 0 && happened("post_patch post_patch:plugin "),
	   "done");
	t = begin_waiting(&result);
	ok(klp_disable_patch(&patch) == 0 && klp_wait_transition(20) == 1, "the way back is held up");
	ok(value() == 1, "this thread is back");
	go();
	come();
	ok(value() == 1, "loaded again, and not patched for it");
	ok(klp_reverse_transition() == 0, "turned round");
	ok(klp_wait_transition(LONG) == 0 && value() == 2, "patched");
	if (write(pipe_fds[1], "x", 1) != 1)
		abort();
	pthread_join(t, NULL);
	ok(result == 2 && disable(&patch) == 0 && value() == 1, "disabled");
	go();
}

/* Two objects: what was begun is taken back where the second one's pre_patch fails. */
static void second_fails(void)
{
	events[0] = 0;
	come();
	fail_pre = -EPERM;
	ok(refused(klp_enable_patch(&patch), -EPERM, "pre_patch") && !klp_is_enabled(&patch), "the second pre_patch fails");
	ok(happened("pre_patch pre_patch:plugin post_unpatch "), "the first object is told");
	ok(target_version() == 1 && value() == 1 && !objs[0].patched && !objs[1].patched, "nothing is patched");
	fail_pre = 0;
	ok(enable(&patch) == 0 && happened("pre_patch pre_patch:plugin post_patch post_patch:plugin "),
	   "it can be enabled when it does not");
	ok(disable(&patch) == 0 &&
	   happened("pre_unpatch pre_unpatch:plugin post_unpatch post_unpatch:plugin "), "disabled");
	go();
	ok(happened(""), "nothing more to be told");
}

/* Transitions that are turned round: who was told that it begins is told that it came to nothing, and no more. */
static void callbacks_of_a_reversal(void)
{
	int result = 0;
	pthread_t t;

	come();
	t = begin_waiting(&result);
	ok(klp_enable_patch(&patch) == 0 && klp_wait_transition(20) == 1 && happened("pre_patch pre_patch:plugin "),
	   "held up");
	ok(klp_disable_patch(&patch) == 0 && klp_wait_transition(LONG) == 0 && !klp_is_enabled(&patch),
	   "turned round");
	ok(happened("post_unpatch post_unpatch:plugin "), "neither post_patch nor pre_unpatch");
	if (write(pipe_fds[1], "x", 1) != 1)
		abort();
	pthread_join(t, NULL);
	ok(enable(&patch) == 0, "enabled");
	events[0] = 0;
	t = begin_waiting(&result);
	ok(klp_disable_patch(&patch) == 0 && klp_wait_transition(20) == 1 &&
	   happened("pre_unpatch pre_unpatch:plugin "), "the way back is held up");
	ok(klp_reverse_transition() == 0 && klp_wait_transition(LONG) == 0 && klp_is_enabled(&patch), "turned round");
	ok(happened("post_patch post_patch:plugin "), "it is patched again");
	if (write(pipe_fds[1], "x", 1) != 1)
		abort();
	pthread_join(t, NULL);
	ok(disable(&patch) == 0 && target_version() == 1, "disabled");
	go();
	events[0] = 0;
}

/* ---- coming and going all the time, while the patch does ---- */

static volatile bool stop;
static long wrong_values, loads;

static void *load_and_unload(void *arg)
{
	while (!stop) {
		void *p = dlopen(plugin_path, RTLD_NOW);
		int (*call)(void) = p ? (int (*)(void))dlsym(p, "plugin_call") : NULL;
		int v = call ? call() : 0;

		if (v != 1 && v != 2)
			wrong_values++;
		loads++;
		dlclose(p);
	}
	return NULL;
}

static void racing(void)
{
	pthread_t t;
	int failed = 0;

	pthread_create(&t, NULL, load_and_unload, NULL);
	for (int i = 0; i < 200 && !failed; i++) {
		int on = enable(&patch), v2 = target_version(), off, v1;

		off = disable(&patch);
		v1 = target_version();
		failed = on || v2 != 2 || off || v1 != 1;
		if (failed) {
			printf("# round %d: %d, version %d, %d, version %d\n", i, on, v2, off, v1);
			print_holders();
		}
	}
	stop = true;
	pthread_join(t, NULL);
	if (failed)
		printf("# %s\n", last_said);
	ok(!failed && !wrong_values, "200 times enabled and disabled during %ld loads", loads);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	plugin_path = argv[1];
	snprintf(plugin_name, sizeof(plugin_name), "%s", strrchr(argv[1], '/') + 1);
	ftrace_set_log(say);
	loaded_later();
	stacked();
	failing();
	in_transition();
	second_fails();
	callbacks_of_a_reversal();
	racing();
	return tap_done();
}
