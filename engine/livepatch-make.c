/* SPDX-License-Identifier: MIT */
/* Live patching: from what a patch says to what is done with it. See livepatch.h. */
#include "livepatch.h"

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

int klp_check_patch(const struct klp_patch *patch)
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

void klp_free_patch(struct klp_kpatch *p)
{
	for (u32 i = 0; i < p->room; i++)
		if (p->objs[i].funcs)
			ft_free(p->objs[i].funcs, p->objs[i].room * sizeof(struct klp_kfunc));
	ft_free(p->objs, p->room * sizeof(struct klp_kobj));
	ft_free(p, sizeof(*p));
}

struct klp_kpatch *klp_make_patch(struct klp_patch *patch)
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
		klp_free_patch(p);
	else
		ft_free(p, sizeof(*p));
	return NULL;
}
