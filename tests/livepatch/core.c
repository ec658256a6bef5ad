/* SPDX-License-Identifier: MIT */
/* Patches in a program of one thread: stacked, replaced, refused; callbacks; with tracers. */
#include <ftrace/fgraph.h>

#include "test.h"

static int version2(void) { return 2; }
static int version3(void) { return 3; }
static int other20(void) { return 20; }
static int other30(void) { return 30; }
static int new_twin(void) { return 7; }

static char events[512];

static void event(const char *what, struct klp_object *obj)
{
	struct klp_patch **p = NULL;

	(void)p;
	if (strlen(events) > sizeof(events) - 32)
		return;
	strcat(events, what);
	strcat(events, obj->name ? "(lib) " : " ");
}

static int fail_pre;
static int pre_patch(struct klp_object *o) { event("pre_patch", o); return fail_pre; }
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

#define PATCH(name_, replace_, ...) \
	static struct klp_func name_##_funcs[] = { __VA_ARGS__, { } }; \
	static struct klp_object name_##_objs[] = { { .funcs = name_##_funcs }, { } }; \
	static struct klp_patch name_ = { .name = #name_, .objs = name_##_objs, .replace = replace_ }

PATCH(first, false, { .old_name = "target_version", .new_func = version2 });
PATCH(second, false, { .old_name = "target_version", .new_func = version3 },
		     { .old_name = "target_other", .new_func = other20 });
PATCH(replacing, true, { .old_name = "target_other", .new_func = other30 });
PATCH(missing, false, { .old_name = "target_no_such", .new_func = version2 });
PATCH(library_func, false, { .old_name = "version2", .new_func = version3 });
PATCH(twins, false, { .old_name = "twin", .new_func = new_twin });
PATCH(twin2, false, { .old_name = "twin", .new_func = new_twin, .old_sympos = 2 });
PATCH(twin3, false, { .old_name = "twin", .new_func = new_twin, .old_sympos = 3 });

static void one(void)
{
	ok(target_version() == 1, "the original runs");
	ok(enable(&first) == 0 && klp_is_enabled(&first), "enabled");
	ok(target_version() == 2, "the new one runs");
	ok(refused(klp_enable_patch(&first), -EBUSY, "already"), "enabled twice");
	ok(disable(&first) == 0 && !klp_is_enabled(&first), "disabled");
	ok(target_version() == 1, "the original again");
	ok(refused(klp_disable_patch(&first), -EINVAL, "not enabled"), "disabled twice");
	for (int i = 0; i < 50; i++)
		if (enable(&first) || target_version() != 2 || disable(&first) ||
		    target_version() != 1)
			ok(false, "round %d", i);
	ok(target_version() == 1, "fifty times");
	ftrace_stop();
	ok(enable(&first) == 0 && target_version() == 2, "tracers' silence does not matter");
	ftrace_start();
	disable(&first);
}

static void stacked(void)
{
	ok(enable(&first) == 0 && enable(&second) == 0, "two patches of a function");
	ok(target_version() == 3 && target_other() == 20, "the last one wins");
	ok(disable(&second) == 0 && target_version() == 2 && target_other() == 10,
	   "the one below again");
	ok(enable(&second) == 0 && disable(&first) == 0 && target_version() == 3,
	   "the lower one goes first");
	ok(disable(&second) == 0 && target_version() == 1, "none left");
}

static void replace(void)
{
	ok(enable(&first) == 0 && enable(&second) == 0, "two patches");
	ok(enable(&replacing) == 0, "one that takes their place");
	ok(target_version() == 1 && target_other() == 30, "their functions are back, but its own");
	ok(!klp_is_enabled(&first) && !klp_is_enabled(&second), "they are disabled");
	ok(refused(klp_disable_patch(&first), -EINVAL, "not enabled"), "and cannot be disabled");
	ok(disable(&replacing) == 0 && target_version() == 1 && target_other() == 10,
	   "disabled: nothing is patched");
	ok(enable(&replacing) == 0 && target_other() == 30, "with nothing to replace");
	ok(enable(&first) == 0 && target_version() == 2, "one above it");
	ok(disable(&replacing) == 0 && target_version() == 2 && target_other() == 10, "without it");
	disable(&first);
}

static void refusals(void)
{
	static struct klp_func none[] = { { .old_name = "target_version" }, { } };
	static struct klp_object o[] = { { .funcs = none }, { } };
	static struct klp_patch bad = { .name = "bad", .objs = o };
	static struct klp_object wrong_o[] = {
		{ .funcs = first_funcs, .build_id = "0123456789" }, { } };
	static struct klp_patch wrong = { .name = "wrong", .objs = wrong_o };

	ok(refused(klp_enable_patch(NULL), -EINVAL, "no patch"), "nothing");
	ok(refused(klp_enable_patch(&bad), -EINVAL, "target_version"), "no new function");
	ok(refused(klp_enable_patch(&missing), -ENOENT, "target_no_such"), "no such function");
	ok(refused(klp_enable_patch(&library_func), -ENOENT, "not compiled for"),
	   "a function that cannot be traced");
	ok(refused(klp_enable_patch(&wrong), -EINVAL, "another build"), "a wrong build id");
	ok(refused(klp_enable_patch(&twins), -EINVAL, "old_sympos"), "two functions of the name");
	ok(refused(klp_enable_patch(&twin3), -ENOENT, "twin"), "no third one");
	ok(enable(&twin2) == 0, "the second one");
	ok(target_twin() + target_twin2() == 8 || target_twin() + target_twin2() == 9,
	   "one of the two is replaced");
	ok(disable(&twin2) == 0 && target_twin() == 1 && target_twin2() == 2, "and is back");
}

static void callbacks(void)
{
	struct klp_callbacks c = { pre_patch, post_patch, pre_unpatch, post_unpatch, false };

	first_objs[0].callbacks = c;
	second_objs[0].callbacks = c;
	ok(enable(&first) == 0 && happened("pre_patch post_patch "), "enabling");
	ok(first_objs[0].patched, "the object is patched");
	ok(disable(&first) == 0 && happened("pre_unpatch post_unpatch "), "disabling");
	ok(!first_objs[0].patched, "the object is not patched");
	fail_pre = -ENODEV;
	ok(refused(klp_enable_patch(&first), -ENODEV, "pre_patch"), "pre_patch fails");
	ok(happened("pre_patch ") && target_version() == 1 && !klp_is_enabled(&first),
	   "nothing else happens");
	fail_pre = 0;
	ok(enable(&first) == 0 && enable(&second) == 0 &&
	   happened("pre_patch post_patch pre_patch post_patch "), "two patches");
	replacing_objs[0].callbacks = c;
	ok(enable(&replacing) == 0 && happened("pre_patch post_patch "),
	   "the replaced ones' callbacks are not called");
	ok(disable(&replacing) == 0 && happened("pre_unpatch post_unpatch "), "disabled");
	memset(&first_objs[0].callbacks, 0, sizeof(c));
	memset(&second_objs[0].callbacks, 0, sizeof(c));
	memset(&replacing_objs[0].callbacks, 0, sizeof(c));
}

static struct klp_state *prev_seen;
static int look_at_prev(struct klp_object *o) { prev_seen = klp_get_prev_state(1); return 0; }

static void states(void)
{
	static struct klp_state v1[] = { { .id = 1, .version = 1 }, { } };
	static struct klp_state v2[] = { { .id = 1, .version = 2 }, { } };

	first.states = v1;
	second.states = v2;
	second_objs[0].callbacks.pre_patch = look_at_prev;
	first_objs[0].callbacks.pre_patch = look_at_prev;
	ok(klp_get_state(&first, 1) == v1 && !klp_get_state(&first, 2), "a patch's states");
	ok(enable(&first) == 0 && !prev_seen, "the first has none before it");
	ok(enable(&second) == 0 && prev_seen == v1, "the second sees the first's");
	ok(!klp_get_prev_state(1), "none outside of a transition");
	ok(disable(&first) == 0, "the first goes");
	ok(refused(klp_enable_patch(&first), -EINVAL, "states"), "an older version of a state");
	ok(refused(klp_enable_patch(&replacing), -EINVAL, "states"), "replacing without knowing it");
	replacing.states = v2;
	ok(enable(&replacing) == 0, "the same version");
	disable(&replacing);
	first.states = second.states = replacing.states = NULL;
	first_objs[0].callbacks.pre_patch = second_objs[0].callbacks.pre_patch = NULL;
}

static long hits, entries, returns;

static void hit(unsigned long ip, unsigned long parent, struct ftrace_ops *op, struct pt_regs *regs)
{
	hits++;
}

static int enter(struct ftrace_graph_ent *ent, struct fgraph_ops *gops, struct pt_regs *regs)
{
	entries++;
	return 1;
}

static void leave(struct ftrace_graph_ret *ret, struct fgraph_ops *gops, struct pt_regs *regs)
{
	returns++;
}

/* Two that change where a call goes: one at a function, whoever comes first; both where they do not meet. */
static void two_modifiers(void)
{
	static struct ftrace_ops one = { .func = hit, .flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY };
	static struct ftrace_ops two = { .func = hit, .flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY };

	hits = 0;
	ftrace_set_filter(&one, "target_version", 14, 1);
	ftrace_set_filter(&two, "target_version", 14, 1);
	ok(register_ftrace_function(&one) == 0 &&
	   refused(register_ftrace_function(&two), -EBUSY, "target_version"), "a second IPMODIFY at the function");
	ok(target_version() == 1 && hits == 1, "is refused, and the first sees the call");
	ok(ftrace_set_filter(&two, "target_other", 12, 1) == 0 && register_ftrace_function(&two) == 0,
	   "it may have another function");
	ok(refused(ftrace_set_filter(&two, "target_version", 14, 0), -EBUSY, "target_version"),
	   "and not that one, either, while it is registered");
	ok(target_version() == 1 && target_other() == 10 && hits == 3, "both see their own");
	unregister_ftrace_function(&one);
	ok(ftrace_set_filter(&two, "target_version", 14, 0) == 0 && target_version() == 1 && hits == 4,
	   "until the first has gone");
	unregister_ftrace_function(&two);
}

static void divert(unsigned long ip, unsigned long parent, struct ftrace_ops *op, struct pt_regs *regs)
{
	instruction_pointer_set(regs, (unsigned long)version3);
}

static void tracers(void)
{
	static struct ftrace_ops ops = { .func = hit };
	static struct ftrace_ops probe = { .func = hit, .flags = FTRACE_OPS_FL_SAVE_REGS };
	static struct ftrace_ops mod = { .func = divert, .flags = FTRACE_OPS_FL_SAVE_REGS |
						    FTRACE_OPS_FL_IPMODIFY };
	static struct ftrace_ops direct;
	static struct fgraph_ops gops = { .entryfunc = enter, .retfunc = leave };

	ftrace_set_filter(&ops, "target_version", 14, 1);
	ftrace_set_filter(&probe, "target_version", 14, 1);
	ftrace_set_filter(&mod, "target_version", 14, 1);
	ftrace_set_filter(&direct, "target_version", 14, 1);
	ftrace_set_filter(&gops.ops, "target_version", 14, 1);
	ok(register_ftrace_function(&ops) == 0 && enable(&first) == 0, "a tracer first");
	ok(target_version() == 2 && hits == 1, "the tracer sees it, the new one runs");
	ok(register_ftrace_graph(&gops) == 0 && target_version() == 2 && hits == 2 &&
	   entries == 1 && returns == 1, "and a graph");
	ok(register_ftrace_function(&probe) == 0 && target_version() == 2 && hits == 4,
	   "and a probe with registers");
	ok(disable(&first) == 0 && target_version() == 1 && hits == 6 && returns == 3,
	   "the patch goes, they stay");
	ok(enable(&first) == 0 && target_version() == 2 && returns == 4, "it comes back");
	unregister_ftrace_function(&ops);
	unregister_ftrace_function(&probe);
	unregister_ftrace_graph(&gops);
	hits = entries = 0;
	ok(target_version() == 2 && !hits && !entries, "only the patch is left");
	ok(refused(register_ftrace_function(&mod), -EBUSY, "IPMODIFY"), "IPMODIFY on a patched function");
	disable(&first);
	ok(register_ftrace_function(&mod) == 0 && target_version() == 3, "IPMODIFY first");
	ok(refused(klp_enable_patch(&first), -EBUSY, "target_version"), "a patch of it");
	ok(target_version() == 3 && !klp_is_enabled(&first), "is refused");
	unregister_ftrace_function(&mod);
#ifdef ARCH_SUPPORTS_FTRACE_DIRECT_CALLS
	{
		void direct_first(void);
		extern long first_count;

		ok(register_ftrace_direct(&direct, (unsigned long)direct_first) == 0, "a direct call");
		ok(refused(klp_enable_patch(&first), -EBUSY, "target_version"), "a patch of it");
		ok(target_version() == 1 && first_count == 1, "is refused");
		unregister_ftrace_direct(&direct, (unsigned long)direct_first, 1);
		ok(enable(&first) == 0, "when it is gone");
		ok(ftrace_set_filter(&direct, "target_version", 14, 1) == 0 &&
		   refused(register_ftrace_direct(&direct, (unsigned long)direct_first), -EBUSY,
			   "target_version"), "a direct call of a patched function");
		disable(&first);
	}
#endif
}

static int ctor(void *obj, void *data, void *arg)
{
	*(long *)data = *(long *)arg;
	return *(long *)arg == 13 ? -EINVAL : 0;
}

static long dtors;
static void dtor(void *obj, void *data) { dtors += *(long *)data; }

static void shadows(void)
{
	int a, b;
	long v = 5, w = 6, bad = 13;
	long *p;

	ok(!klp_shadow_get(&a, 1), "none at first");
	p = klp_shadow_alloc(&a, 1, sizeof(long), ctor, &v);
	ok(p && *p == 5 && klp_shadow_get(&a, 1) == p, "made");
	ok(!klp_shadow_get(&b, 1) && !klp_shadow_get(&a, 2), "of that object and number only");
	last_said[0] = 0;
	ok(!klp_shadow_alloc(&a, 1, sizeof(long), ctor, &w) && strstr(last_said, "already"), "made twice");
	ok(klp_shadow_get_or_alloc(&a, 1, sizeof(long), ctor, &w) == p && *p == 5, "the one there is");
	p = klp_shadow_get_or_alloc(&b, 1, sizeof(long), ctor, &w);
	ok(p && *p == 6, "or a new one");
	ok(!klp_shadow_alloc(&b, 2, sizeof(long), ctor, &bad) && !klp_shadow_get(&b, 2),
	   "a constructor that fails");
	p = klp_shadow_alloc(&b, 3, 3, NULL, NULL);
	ok(p && !*(char *)p, "zeroed without one");
	klp_shadow_free(&a, 1, dtor);
	ok(dtors == 5 && !klp_shadow_get(&a, 1) && klp_shadow_get(&b, 1), "one freed");
	klp_shadow_free(&a, 1, dtor);
	ok(dtors == 5, "not there");
	klp_shadow_alloc(&a, 1, sizeof(long), ctor, &v);
	klp_shadow_free_all(1, dtor);
	ok(dtors == 16 && !klp_shadow_get(&a, 1) && !klp_shadow_get(&b, 1) && klp_shadow_get(&b, 3),
	   "all of a number freed");
	klp_shadow_free_all(3, NULL);
}

int main(void)
{
	ftrace_set_log(say);
	one();
	stacked();
	replace();
	refusals();
	callbacks();
	states();
	tracers();
	two_modifiers();
	shadows();
	return tap_done();
}
