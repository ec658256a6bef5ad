/* SPDX-License-Identifier: MIT */
/* What of a patch can be applied: to files, or to a running process. */
#ifndef CMD_PATCH_CHECK_H
#define CMD_PATCH_CHECK_H

#include "cmd/patch-file.h"
#include "cmd/patch-object.h"
#include "cmd/target.h"

/* A patch and the objects that it is for. */
struct patch_check {
	struct patch_file *file;
	const char *where;		/* of whom, for messages: "process 12 (name)"; NULL: of files */
	struct patch_object *objects;
	size_t nobjects;
	struct patch_found *found;	/* one a record */
	bool any_build;			/* whatever build-id they have */
	unsigned int problems;		/* that were told */
};

/* The objects of @c->file, none of them found yet. 0 or -1, said. */
int patch_check_begin(struct patch_check *c, struct patch_file *file);
void patch_check_end(struct patch_check *c);

/* Take the file at @path for the object that it can be by its name. 0; -1: for none. */
int patch_check_use_file(struct patch_check *c, const char *path);

/* Find the objects in the process. 0 or -1, said. */
int patch_check_use_process(struct patch_check *c, struct target *t);

/* Look at everything, and tell each problem. 0: there is none. */
int patch_check(struct patch_check *c);

#endif /* CMD_PATCH_CHECK_H */
