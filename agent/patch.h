/* SPDX-License-Identifier: MIT */
/*
 * Patches that were loaded into the process (<ftrace/patch.h>), as the control files
 *
 *	livepatch/load		NAME ROOT BASE ID FILE: the object of that path was loaded at BASE, its
 *				klp_patch_root is at ROOT (hex); ID tells its contents from others'
 *	livepatch/plans		directory with plans for objects that were not compiled for tracing, as
 *				long as the request lasts
 *	livepatch/patches	all of them, with all that is known of them; see patch_show()
 *	livepatch/NAME/symbol	ALIAS ADDRESS: what the patch refers to as ALIAS is at ADDRESS (hex)
 *	livepatch/NAME/position	N POSITION: the N-th record's pos
 *	livepatch/NAME/any_build 1: whatever build-ids its objects have
 *	livepatch/NAME/enabled	1, 0; as in the kernel's sysfs, 0 or 1 turns a transition round
 *	livepatch/NAME/transition, livepatch/NAME/replace, livepatch/NAME/forced
 *	livepatch/NAME/force	1: end the transition
 *
 * All but patch_object_wanted() and patch_plan() are for the thread that carries requests out.
 */
#ifndef FTRACE_AGENT_PATCH_H
#define FTRACE_AGENT_PATCH_H

#include "agent/control.h"

int patch_file_read(const char *name, struct control_text *out);
int patch_file_write(const char *name, size_t name_len, const char *value, size_t len);

/* Is @path of an object that a patch replaces something of? */
bool patch_object_wanted(const char *path, bool executable);

/* As agent_object_plan(). -ENOENT, nothing said: none here. */
int patch_plan(const char *object, u64 ino, char *path, size_t size);

/* Is any patch enabled, or on its way? */
bool patches_are_there(void);

/* After each request, each look at a transition: what is not needed any more goes. */
void patches_settle(void);

bool patch_in_transition(void);

/*
 * One block of lines "KEY VALUE" a patch, "livepatch NAME" first; at the end "holders N" and some "holder TID
 * FUNCTION WHY", if there is a transition.
 */
int patch_show(struct control_text *out);

#endif /* FTRACE_AGENT_PATCH_H */
