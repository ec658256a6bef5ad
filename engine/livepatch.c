/* SPDX-License-Identifier: MIT */
/* Live patching: patches, and which version of a function runs. See livepatch.h. */
#include "livepatch.h"

#include "arch.h"
#include "callback.h"

struct klp_kpatch *klp_patches;
struct klp_process *klp_process;
static struct klp_ops *all_ops;

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

/* ---- the callback ---- */

/* What runs where @func is the version, 0: the original. */
static unsigned long code_of(const struct klp_kfunc *func)
{
	return func && !func->nop ? (unsigned long)func->new_func : 0;
}

static void choose(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		   struct pt_regs *regs, struct dyn_ftrace *site)
{
	struct klp_ops *ops = container_of(op, struct klp_ops, fops);
	struct klp_kfunc *func = __atomic_load_n(&ops->top, __ATOMIC_ACQUIRE);
	unsigned long to;

	if (func && READ_ONCE(func->transition) && !klp_thread_is_patched(site, regs))
		func = __atomic_load_n(&func->below, __ATOMIC_ACQUIRE);
	/* A probe may have sent this call elsewhere: whoever comes first of the two, the probe has the last word. */
	if (site->ops != op && instruction_pointer(regs) != arch_site_body(site))
		return;
	to = code_of(func);
	if (to)
		instruction_pointer_set(regs, to);
}

void klp_set_gone(struct klp_kpatch *p, unsigned long seq)
{
	for (u32 i = 0; i < p->nobjs; i++)
		for (u32 k = 0; k < p->objs[i].nfuncs; k++) {
			struct klp_kfunc *func = &p->objs[i].funcs[k];
			struct klp_ops *ops = func->ops;

			if (!func->patched || ops->top != func || ops->gone == seq)
				continue;
			if (seq) {
				ops->gone_to[true] = code_of(func);
				ops->gone_to[false] = code_of(func->below);
			}
			smp_store_release(&ops->gone, seq);
		}
}

/* Past the stub, when there is nothing to choose. */
static int set_target(struct klp_ops *ops)
{
	struct klp_kfunc *top = ops->top;
	unsigned long to = top && !top->transition ? code_of(top) : 0;
	int err;

	ft_lock(ftrace_lock);
	ops->fops.reserved[FTRACE_OPS_TARGET] = (void *)to;
	err = ftrace_update_sites(ops->site->id, 1);
	ft_unlock(ftrace_lock);
	return err;
}

void klp_set_targets(struct klp_kpatch *p)
{
	for (u32 i = 0; i < p->nobjs; i++)
		for (u32 k = 0; k < p->objs[i].nfuncs; k++)
			if (p->objs[i].funcs[k].patched)
				set_target(p->objs[i].funcs[k].ops);
}

static struct klp_ops *find_ops(const struct dyn_ftrace *site)
{
	for (struct klp_ops *ops = all_ops; ops; ops = ops->next)
		if (ops->site == site)
			return ops;
	return NULL;
}

static void drop_ops(struct klp_ops *ops)
{
	struct klp_ops **at = &all_ops;

	if (ops->fops.flags & FTRACE_OPS_FL_ENABLED)
		unregister_ftrace_function(&ops->fops);
	ftrace_free_filter(&ops->fops);
	while (*at != ops)
		at = &(*at)->next;
	*at = ops->next;
	ft_free(ops, sizeof(*ops));
}

static struct klp_ops *new_ops(struct klp_kfunc *func)
{
	struct klp_ops *ops = ft_alloc(sizeof(*ops));

	if (!ops)
		return NULL;
	ops->fops.func = (ftrace_func_t)(void (*)(void))choose;
	ops->fops.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY |
			  FTRACE_OPS_FL_GENERAL_REGS | FTRACE_OPS_FL_REPLACE;
	ops->site = func->site;
	ops->old = func->old;
	ops->next = all_ops;
	all_ops = ops;
	return ops;
}

/* ---- functions in and out of use ---- */

static int patch_func(struct klp_kfunc *func, const char *patch)
{
	struct klp_ops *ops = find_ops(func->site), *fresh = NULL;
	int err;

	if (!ops) {
		ops = fresh = new_ops(func);
		if (!ops)
			return ft_log(-ENOMEM, "patch %s: no memory", patch);
	}
	func->ops = ops;
	func->below = ops->top;
	smp_store_release(&ops->gone, 0);
	__atomic_store_n(&ops->top, func, __ATOMIC_RELEASE);
	func->patched = true;
	err = 0;
	if (fresh)
		err = ftrace_set_filter_ip(&ops->fops, func->site->ip, 0, 1);
	if (fresh && !err)
		err = ftrace_ops_register(&ops->fops, "klp_enable_patch");
	if (!err)
		err = set_target(ops);
	if (!err)
		return 0;
	ops->top = func->below;
	func->patched = false;
	if (fresh)
		drop_ops(ops);
	return ft_log(err, "patch %s: %s cannot be replaced: error %d", patch, func->name, -err);
}

static void unpatch_func(struct klp_kfunc *func)
{
	struct klp_ops *ops = func->ops;
	struct klp_kfunc **at;

	if (!func->patched)
		return;
	for (at = &ops->top; *at != func; at = &(*at)->below)
		;
	smp_store_release(&ops->gone, 0);
	/* func->below stays: a callback may be looking at it. */
	__atomic_store_n(at, func->below, __ATOMIC_RELEASE);
	func->patched = false;
	func->ops = NULL;
	if (ops->top)
		set_target(ops);
	else
		drop_ops(ops);
}

static void unpatch_object(struct klp_kobj *o, bool nops_only)
{
	for (u32 i = 0; i < o->nfuncs; i++)
		if (!nops_only || o->funcs[i].nop)
			unpatch_func(&o->funcs[i]);
	/* The last ones; callbacks may still be looking at them. */
	while (nops_only && o->nfuncs && o->funcs[o->nfuncs - 1].nop)
		o->nfuncs--;
	if (nops_only && o->pub)
		return;
	o->patched = false;
	if (o->pub)
		o->pub->patched = false;
}

void klp_unpatch(struct klp_kpatch *p, bool nops_only)
{
	for (u32 i = 0; i < p->nobjs; i++)
		unpatch_object(&p->objs[i], nops_only);
}

static int patch_object(struct klp_kobj *o, const char *patch)
{
	int err = 0;

	for (u32 i = 0; i < o->nfuncs && !err; i++)
		err = patch_func(&o->funcs[i], patch);
	if (err) {
		unpatch_object(o, false);
		return err;
	}
	o->patched = true;
	if (o->pub)
		o->pub->patched = true;
	return 0;
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

/* ---- making and unmaking a patch ---- */

static bool same_name(const char *a, const char *b)
{
	return a && b ? !ft_strcmp(a, b) : a == b;
}

static bool more_funcs(const struct klp_func *f)
{
	return f && (f->old_name || f->new_func || f->old_sympos);
}

static bool more_objs(const struct klp_object *o)
{
	return o->funcs || o->name;
}

static int check(const struct klp_patch *patch)
{
	const char *name = patch && patch->name ? patch->name : "(no name)";

	if (!patch || !patch->objs || !more_objs(patch->objs))
		return ft_log(-EINVAL, "klp_enable_patch: no patch, or one without objects");
	for (const struct klp_object *o = patch->objs; more_objs(o); o++) {
		if (!o->funcs)
			return ft_log(-EINVAL, "patch %s: no functions for %s", name,
				      o->name ? o->name : "the executable");
		for (const struct klp_func *f = o->funcs; more_funcs(f); f++)
			if (!f->old_name || !*f->old_name || !f->new_func)
				return ft_log(-EINVAL, "patch %s: a function without a name, or "
					      "nothing to replace %s", name,
					      f->old_name ? f->old_name : "it");
	}
	return 0;
}

static struct klp_kfunc *find_func(struct klp_kobj *o, const char *name, unsigned long sympos)
{
	for (u32 i = 0; i < o->nfuncs; i++)
		if (!ft_strcmp(o->funcs[i].name, name) && o->funcs[i].sympos == sympos)
			return &o->funcs[i];
	return NULL;
}

static struct klp_kobj *find_obj(struct klp_kpatch *p, const char *name)
{
	for (u32 i = 0; i < p->nobjs; i++)
		if (same_name(p->objs[i].name, name))
			return &p->objs[i];
	return NULL;
}

/* Functions that older patches replace, and this one, which takes their place, does not. */
static void add_nops(struct klp_kpatch *p)
{
	for (struct klp_kpatch *old = klp_patches; old; old = old->next)
		for (u32 i = 0; i < old->nobjs; i++) {
			struct klp_kobj *from = &old->objs[i], *o = find_obj(p, from->name);

			if (!o) {
				o = &p->objs[p->nobjs++];
				o->name = from->name;
			}
			for (u32 k = 0; k < from->nfuncs; k++) {
				struct klp_kfunc *f = &from->funcs[k];

				if (find_func(o, f->name, f->sympos))
					continue;
				o->funcs[o->nfuncs++] = (struct klp_kfunc){
					.name = f->name, .sympos = f->sympos, .nop = true,
				};
			}
		}
}

static u32 count_funcs(const struct klp_object *o)
{
	u32 n = 0;

	while (more_funcs(&o->funcs[n]))
		n++;
	return n;
}

static void free_patch(struct klp_kpatch *p)
{
	for (u32 i = 0; i < p->room; i++)
		if (p->objs[i].funcs)
			ft_free(p->objs[i].funcs, p->objs[i].room * sizeof(struct klp_kfunc));
	ft_free(p->objs, p->room * sizeof(struct klp_kobj));
	ft_free(p, sizeof(*p));
}

static struct klp_kpatch *make_patch(struct klp_patch *patch)
{
	struct klp_kpatch *p = ft_alloc(sizeof(*p));
	u32 nobjs = 0, more_o = 0, more_f = 0;

	if (!p)
		return NULL;
	p->pub = patch;
	while (more_objs(&patch->objs[nobjs]))
		nobjs++;
	for (struct klp_kpatch *old = klp_patches; old && patch->replace; old = old->next) {
		more_o += old->nobjs;
		for (u32 i = 0; i < old->nobjs; i++)
			more_f += old->objs[i].nfuncs;
	}
	p->room = nobjs + more_o;
	p->objs = ft_alloc(p->room * sizeof(*p->objs));
	if (!p->objs)
		goto fail;
	for (u32 i = 0; i < p->room; i++) {
		struct klp_kobj *o = &p->objs[i];

		o->room = (i < nobjs ? count_funcs(&patch->objs[i]) : 0) + more_f + 1;
		o->funcs = ft_alloc(o->room * sizeof(*o->funcs));
		if (!o->funcs)
			goto fail;
		if (i >= nobjs)
			continue;
		o->pub = &patch->objs[i];
		o->name = o->pub->name;
		o->build_id = o->pub->build_id;
		o->pub->patched = false;
		o->pub->callbacks.post_unpatch_enabled = false;
		for (const struct klp_func *f = o->pub->funcs; more_funcs(f); f++)
			o->funcs[o->nfuncs++] = (struct klp_kfunc){
				.name = f->old_name, .new_func = f->new_func,
				.sympos = f->old_sympos,
			};
	}
	p->nobjs = nobjs;
	if (patch->replace)
		add_nops(p);
	return p;
fail:
	if (p->objs)
		free_patch(p);
	else
		ft_free(p, sizeof(*p));
	return NULL;
}

/* The list of patches. */
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
	free_patch(p);
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
		err = patch_object(o, klp_patch_name(p));
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
	int err = check(patch);

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
	p = make_patch(patch);
	if (!p)
		return ft_log(-ENOMEM, "klp_enable_patch: no memory");
	while (*at)
		at = &(*at)->next;
	err = find_objects(p, at);
	if (!err)
		err = klp_transition_begin(p, true);
	if (err) {
		take_off(p);
		free_patch(p);
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
		err = patch_object(o, klp_patch_name(p));
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
	unpatch_object(o, false);
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
