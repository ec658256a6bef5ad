/* SPDX-License-Identifier: MIT */
/* Live patching: functions in and out of use, and which version of one runs. See livepatch.h. */
#include "livepatch.h"

#include "arch.h"
#include "callback.h"

static struct klp_ops *all_ops;

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

void klp_unpatch_object(struct klp_kobj *o, bool nops_only)
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
		klp_unpatch_object(&p->objs[i], nops_only);
}

int klp_patch_object(struct klp_kobj *o, const char *patch)
{
	int err = 0;

	for (u32 i = 0; i < o->nfuncs && !err; i++)
		err = patch_func(&o->funcs[i], patch);
	if (err) {
		klp_unpatch_object(o, false);
		return err;
	}
	o->patched = true;
	if (o->pub)
		o->pub->patched = true;
	return 0;
}
