/* SPDX-License-Identifier: MIT */
/* System states; see <ftrace/livepatch.h>. */
#include "livepatch.h"

static struct klp_state *find(struct klp_patch *patch, unsigned long id)
{
	for (struct klp_state *s = patch->states; s && s->id; s++)
		if (s->id == id)
			return s;
	return NULL;
}

FTRACE_PUBLIC struct klp_state *klp_get_state(struct klp_patch *patch, unsigned long id)
{
	return patch && id ? find(patch, id) : NULL;
}

FTRACE_PUBLIC struct klp_state *klp_get_prev_state(unsigned long id)
{
	struct klp_state *last = NULL, *s;

	/* From a callback: whoever called that has the lock. */
	if (!klp_transition_patch)
		return NULL;
	for (struct klp_kpatch *p = klp_patches; p && p != klp_transition_patch; p = p->next) {
		s = find(p->pub, id);
		last = s ? s : last;
	}
	return last;
}

static bool goes_with(struct klp_patch *patch, const struct klp_state *old)
{
	struct klp_state *s = find(patch, old->id);

	return s ? s->version >= old->version : !patch->replace;
}

bool klp_states_compatible(struct klp_patch *patch)
{
	for (struct klp_kpatch *p = klp_patches; p; p = p->next)
		for (struct klp_state *old = p->pub->states; old && old->id; old++)
			if (!goes_with(patch, old))
				return false;
	return true;
}
