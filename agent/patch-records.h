/* SPDX-License-Identifier: MIT */
/* The records of a patch that is loaded (<ftrace/patch.h>), and the struct klp_patch that they make. */
#ifndef FTRACE_AGENT_PATCH_RECORDS_H
#define FTRACE_AGENT_PATCH_RECORDS_H

#include <ftrace/livepatch.h>

#include "engine/base.h"

struct klp_patch_root;
struct klp_record;

struct patch_records {
	struct klp_patch_root *root;
	const char *version;		/* "": none */
	bool replace;
	bool any_build;			/* not only those it is for */
	u32 nrecords, nfuncs, nstates;
	struct klp_object *objs;	/* NULL: not built yet */
	struct klp_func *funcs;
	struct klp_state *states;
};

/* Look whether @root is what it should be. 0 or -EINVAL, logged with the patch's @name. */
int patch_records_open(struct patch_records *r, struct klp_patch_root *root, const char *name);

/* The @n-th record is about the @pos-th function of its name. -EINVAL: there is no such record. */
int patch_records_position(struct patch_records *r, u32 n, unsigned long pos);

/* Fill @patch, of which nothing is enabled. 0 or -ENOMEM. */
int patch_records_build(struct patch_records *r, struct klp_patch *patch);

#endif /* FTRACE_AGENT_PATCH_RECORDS_H */
