/* SPDX-License-Identifier: MIT */
/* Live patching: patches are enabled, disabled, and follow the objects that come and go. See livepatch.h. */
#include "livepatch.h"

#include "arch.h"
#include "callback.h"

struct klp_kpatch *klp_patches;
struct klp_process *klp_process;

const char *klp_patch_name(const struct klp_kpatch *p)
{
	return p->pub->name ? p->pub->name : "(no name)";
}

static struct klp_kpatch *of(const struct klp_patch *patch)
{
	return patch->reserved[0];
}

FTRACE_PUBLIC bool klp_is_enabled(const struct klp_patch *patch)
{
	return patch && of(patch);
}

/* ---- callbacks of patches ---- */

static int call_pre_patch(struct klp_kobj *o)
{
	struct klp_callbacks *c = o->pub ? &o->pub->callbacks : NULL;
	int err;

	if (!c)
		return 0;
	err = c->pre_patch ? c->pre_patch(o->pub) : 0;
	c->post_unpatch_enabled = !err;
	return err;
}

void klp_call_post_patch(struct klp_kobj *o)
{
	if (o->pub && o->obj && o->pub->callbacks.post_patch)
		o->pub->callbacks.post_patch(o->pub);
}

static void call_pre_unpatch(struct klp_kobj *o)
{
	if (o->pub && o->pub->callbacks.pre_unpatch)
		o->pub->callbacks.pre_unpatch(o->pub);
}

void klp_call_post_unpatch(struct klp_kobj *o)
{
	struct klp_callbacks *c = o->pub ? &o->pub->callbacks : NULL;

	if (!c || !o->obj)
		return;
	if (c->post_unpatch_enabled && c->post_unpatch)
		c->post_unpatch(o->pub);
	c->post_unpatch_enabled = false;
}

/* ---- the list of patches ---- */

static void take_off(struct klp_kpatch *p)
{
	struct klp_kpatch **at = &klp_patches;

	while (*at && *at != p)
		at = &(*at)->next;
	if (*at)
		*at = p->next;
}

void klp_forget(struct klp_kpatch *p)
{
	take_off(p);
	p->pub->reserved[0] = NULL;
	klp_free_patch(p);
}

/* ---- enabling and disabling ---- */

static void take_lock(void)
{
	ft_lock(&klp_process->lock);
	WRITE_ONCE(klp_process->holder, ft_gettid());
}

static void leave(void)
{
	WRITE_ONCE(klp_process->holder, 0);
	ft_unlock(&klp_process->lock);
}

static int enter(const char *what)
{
	int err = ftrace_init();

	if (err)
		return err;
	if (ftrace_in_callback((unsigned long)__builtin_frame_address(0)))
		return ft_log(-EDEADLK, "%s: called from a callback", what);
	if (!smp_load_acquire(&klp_process)) {
		struct klp_process *fresh = ft_wipeonfork(FT_PAGE_SIZE), *none = NULL;

		if (!fresh)
			return ft_log(-ENOMEM, "%s: no memory", what);
		fresh->same = true;
		/* Another thread's: a page is lost, once. */
		__atomic_compare_exchange_n(&klp_process, &none, fresh, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED);
	}
	take_lock();
	return 0;
}

/* Callbacks, then the functions of each object that is loaded. */
static int patch_objects(struct klp_kpatch *p)
{
	for (u32 i = 0; i < p->nobjs; i++) {
		struct klp_kobj *o = &p->objs[i];
		int err;

		if (!o->obj)
			continue;
		err = call_pre_patch(o);
		if (err)
			return ft_log(err, "patch %s: its pre_patch callback for %s failed: error %d",
				      klp_patch_name(p), o->obj->name, -err);
		err = klp_patch_object(o, klp_patch_name(p));
		if (err && !o->obj->gone)
			return err;
		if (err) {		/* unloaded meanwhile */
			klp_call_post_unpatch(o);
			o->obj = NULL;
		}
	}
	return 0;
}

static int find_objects_once(struct klp_kpatch *p)
{
	int err = 0;

	for (u32 i = 0; i < p->nobjs && !err; i++) {
		struct klp_kobj *o = &p->objs[i];

		o->obj = klp_find_object(o->name);
		if (o->obj)
			err = klp_resolve(o, klp_patch_name(p));
		if (err && o->obj->gone) {
			o->obj = NULL;
			err = 0;
		}
		if (!err && !o->obj && !o->name)
			err = ft_log(-ENOENT, "patch %s: the executable has no function that can be "
				     "replaced: it was not compiled for tracing", klp_patch_name(p));
	}
	return err;
}

/*
 * What there is of @p's objects, and their functions. Whoever loads or unloads meanwhile does not wait while there
 * are no patches; so what was found, or not, counts only if nothing has changed from before until @p is among
 * them. (An object that has gone and come back is the same one, which was not there for a moment.)
 */
static int find_objects(struct klp_kpatch *p, struct klp_kpatch **at)
{
	u32 loads;
	int err;

	do {
		loads = __atomic_load_n(&klp_loads, __ATOMIC_SEQ_CST);
		err = find_objects_once(p);
		if (!err)
			__atomic_store_n(at, p, __ATOMIC_SEQ_CST);
	} while (loads != __atomic_load_n(&klp_loads, __ATOMIC_SEQ_CST));
	return err;
}

static int enable(struct klp_patch *patch)
{
	struct klp_kpatch *p, **at = &klp_patches;
	int err = klp_check_patch(patch);

	if (err)
		return err;
	if (klp_transition_patch)
		return ft_log(-EBUSY, "klp_enable_patch: patch %s is in transition",
			      klp_patch_name(klp_transition_patch));
	if (of(patch))
		return ft_log(-EBUSY, "klp_enable_patch: it is enabled already");
	if (!klp_states_compatible(patch))
		return ft_log(-EINVAL, "patch %s: its system states do not go with those of the "
			      "patches that are enabled", patch->name ? patch->name : "(no name)");
	p = klp_make_patch(patch);
	if (!p)
		return ft_log(-ENOMEM, "klp_enable_patch: no memory");
	while (*at)
		at = &(*at)->next;
	err = find_objects(p, at);
	if (!err)
		err = klp_transition_begin(p, true);
	if (err) {
		take_off(p);
		klp_free_patch(p);
		return err;
	}
	patch->reserved[0] = p;
	err = patch_objects(p);
	if (!err)
		err = klp_transition_start();
	if (err)
		klp_transition_cancel();
	return err;
}

FTRACE_PUBLIC int klp_enable_patch(struct klp_patch *patch)
{
	int err = enter("klp_enable_patch");

	if (err)
		return err;
	err = enable(patch);
	leave();
	return err;
}

static int disable(struct klp_kpatch *p)
{
	int err;

	if (klp_transition_patch)
		return ft_log(-EBUSY, "klp_disable_patch: patch %s is in transition",
			      klp_patch_name(klp_transition_patch));
	err = klp_transition_begin(p, false);
	if (err)
		return err;
	for (u32 i = 0; i < p->nobjs; i++)
		if (p->objs[i].patched)
			call_pre_unpatch(&p->objs[i]);
	klp_set_targets(p);
	klp_transition_start();
	return 0;
}

FTRACE_PUBLIC int klp_disable_patch(struct klp_patch *patch)
{
	int err = enter("klp_disable_patch");

	if (err)
		return err;
	if (!patch || !of(patch)) {
		err = ft_log(-EINVAL, "klp_disable_patch: it is not enabled");
	} else if (of(patch) == klp_transition_patch) {
		struct klp_transition status;

		leave();
		klp_transition_status(&status, NULL, NULL);
		return status.patch == patch && !status.enabling ? 0 : klp_reverse_transition();
	} else {
		err = disable(of(patch));
	}
	leave();
	return err;
}

/* ---- objects that come and go ---- */

static void object_came(struct klp_kpatch *p, struct klp_kobj *o)
{
	int err = klp_resolve(o, klp_patch_name(p));

	if (!err)
		err = call_pre_patch(o);
	if (!err)
		err = klp_patch_object(o, klp_patch_name(p));
	if (!err && p != klp_transition_patch)
		klp_call_post_patch(o);
	if (!err)
		return;
	ft_log(err, "patch %s: %s is loaded and stays as it is: error %d", klp_patch_name(p),
	       o->obj->name, -err);
	klp_call_post_unpatch(o);
	o->obj = NULL;
}

static void object_went(struct klp_kpatch *p, struct klp_kobj *o)
{
	if (o->patched && p != klp_transition_patch)
		call_pre_unpatch(o);
	klp_unpatch_object(o, false);
	klp_call_post_unpatch(o);
	o->obj = NULL;
	for (u32 i = 0; i < o->nfuncs; i++)
		o->funcs[i].site = NULL;
}

/*
 * All that went before any that came: the same file may be loaded again. One that did not take a patch is
 * not asked again until it is loaded anew.
 */
void klp_objects_changed(void)
{
	struct klp_kpatch *p;

	__atomic_fetch_add(&klp_loads, 1, __ATOMIC_SEQ_CST);
	if (!smp_load_acquire(&klp_process) || !klp_patches)
		return;
	/* Reading compressed symbols may load a library: from in here, by this thread. */
	if (READ_ONCE(klp_process->holder) == ft_gettid())
		return;
	take_lock();
	for (p = klp_patches; p; p = p->next)
		for (u32 i = 0; i < p->nobjs; i++)
			if (p->objs[i].obj && p->objs[i].obj->gone)
				object_went(p, &p->objs[i]);
	for (p = klp_patches; p; p = p->next)
		for (u32 i = 0; i < p->nobjs; i++) {
			struct klp_kobj *o = &p->objs[i];

			if (o->obj || !o->name)
				continue;
			o->obj = klp_find_object(o->name);
			if (o->obj)
				object_came(p, o);
		}
	__atomic_fetch_add(&klp_loads, 1, __ATOMIC_SEQ_CST);
	leave();
}

/* ---- the transition, from outside ---- */

static int locked(const char *what, int (*func)(void))
{
	int err = enter(what);

	if (err)
		return err;
	err = func();
	leave();
	return err;
}

FTRACE_PUBLIC int klp_transition_work(void)
{
	return locked("klp_transition_work", klp_work_locked);
}

FTRACE_PUBLIC int klp_reverse_transition(void)
{
	return locked("klp_reverse_transition", klp_reverse_locked);
}

FTRACE_PUBLIC int klp_force_transition(void)
{
	return locked("klp_force_transition", klp_force_locked);
}
