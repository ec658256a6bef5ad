/* SPDX-License-Identifier: MIT */
/* From a patch's records to struct klp_patch; see patch-records.h. */
#include "agent/patch-records.h"

#include <ftrace/patch-records.h>

/* Linkers may leave gaps between records of several files. */
static struct klp_record *next_record(const struct patch_records *r, const struct klp_record *after)
{
	const char *p = after ? (const char *)(after + 1) : (const char *)r->root->records;
	const char *end = (const char *)r->root->records_end;

	for (; p + sizeof(struct klp_record) <= end; p += 8)
		if (((const struct klp_record *)p)->magic == KLP_RECORD_MAGIC)
			return (struct klp_record *)p;
	return NULL;
}

static bool same(const char *a, const char *b)
{
	return a && b ? !ft_strcmp(a, b) : a == b;
}

int patch_records_open(struct patch_records *r, struct klp_patch_root *root, const char *name)
{
	struct klp_record *rec = NULL;

	*r = (struct patch_records){ .root = root, .version = "" };
	if (root->magic != KLP_ROOT_MAGIC)
		return ft_log(-EINVAL, "patch %s: what was loaded is no patch of this version", name);
	while ((rec = next_record(r, rec))) {
		r->nrecords++;
		r->nfuncs += rec->kind == KLP_RECORD_FUNC;
		r->nstates += rec->kind == KLP_RECORD_STATE;
		r->replace |= rec->kind == KLP_RECORD_REPLACE;
		if (rec->kind == KLP_RECORD_PATCH && rec->text)
			r->version = rec->text;
	}
	return r->nfuncs ? 0 : ft_log(-EINVAL, "patch %s: it replaces nothing", name);
}

int patch_records_position(struct patch_records *r, u32 n, unsigned long pos)
{
	struct klp_record *rec = NULL;

	while ((rec = next_record(r, rec)))
		if (!n--) {
			rec->pos = pos;
			return 0;
		}
	return -EINVAL;
}

static const char *build_id(const struct patch_records *r, const char *object)
{
	const struct klp_record *rec = NULL;

	for (u32 i = 0; i < KLP_MAX_STAMPS; i++) {
		const struct klp_stamp *s = &r->root->stamps[i];

		if (s->build_id[0] && same(s->object[0] ? s->object : NULL, object))
			return s->build_id;
	}
	while ((rec = next_record(r, rec)))
		if (rec->kind == KLP_RECORD_BUILD_ID && same(rec->object, object))
			return rec->text;
	return NULL;
}

static void set_callbacks(const struct patch_records *r, struct klp_object *o)
{
	const struct klp_record *rec = NULL;

	while ((rec = next_record(r, rec)))
		if (rec->kind == KLP_RECORD_CALLBACKS && same(rec->object, o->name)) {
			o->callbacks.pre_patch = (int (*)(struct klp_object *))rec->func[0];
			o->callbacks.post_patch = (void (*)(struct klp_object *))rec->func[1];
			o->callbacks.pre_unpatch = (void (*)(struct klp_object *))rec->func[2];
			o->callbacks.post_unpatch = (void (*)(struct klp_object *))rec->func[3];
		}
}

static bool is_first(const struct patch_records *r, const struct klp_record *of)
{
	const struct klp_record *rec = NULL;

	while ((rec = next_record(r, rec)) != of)
		if (rec->kind == KLP_RECORD_FUNC && same(rec->object, of->object))
			return false;
	return true;
}

/* The functions of one object from @func on, and an empty one behind them. */
static struct klp_func *add_object(const struct patch_records *r, struct klp_object *o,
				   const struct klp_record *first, struct klp_func *func)
{
	const struct klp_record *rec = NULL;

	o->name = first->object;
	o->build_id = r->any_build ? NULL : build_id(r, o->name);
	o->funcs = func;
	set_callbacks(r, o);
	while ((rec = next_record(r, rec)))
		if (rec->kind == KLP_RECORD_FUNC && same(rec->object, o->name)) {
			func->old_name = rec->name;
			func->new_func = rec->func[0];
			func->old_sympos = rec->pos;
			func++;
		}
	return func + 1;
}

/* At most one object a function. Once: it may be enabled again, at the same address. */
int patch_records_build(struct patch_records *r, struct klp_patch *patch)
{
	const struct klp_record *rec = NULL;
	struct klp_func *func;
	u32 nobjs = 0, nstates = 0;

	if (r->objs)
		return 0;
	r->objs = ft_alloc((r->nfuncs + 1) * sizeof(*r->objs));
	r->funcs = ft_alloc(2 * r->nfuncs * sizeof(*r->funcs));
	r->states = ft_alloc((r->nstates + 1) * sizeof(*r->states));
	if (!r->objs || !r->funcs || !r->states) {
		if (r->objs)
			ft_free(r->objs, (r->nfuncs + 1) * sizeof(*r->objs));
		if (r->funcs)
			ft_free(r->funcs, 2 * r->nfuncs * sizeof(*r->funcs));
		r->objs = NULL;
		r->funcs = NULL;
		return -ENOMEM;
	}
	func = r->funcs;
	while ((rec = next_record(r, rec))) {
		if (rec->kind == KLP_RECORD_FUNC && is_first(r, rec))
			func = add_object(r, &r->objs[nobjs++], rec, func);
		if (rec->kind == KLP_RECORD_STATE)
			r->states[nstates++] = (struct klp_state){
				.id = (unsigned long)rec->func[0], .version = (unsigned int)rec->pos,
			};
	}
	patch->objs = r->objs;
	patch->states = nstates ? r->states : NULL;
	patch->replace = r->replace;
	return 0;
}
