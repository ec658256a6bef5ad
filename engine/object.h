/* SPDX-License-Identifier: MIT */
/* Objects: finding what is loaded, giving it sites, following dlopen and dlclose. */
#ifndef FTRACE_ENGINE_OBJECT_H
#define FTRACE_ENGINE_OBJECT_H

#include "base.h"

struct ftrace_object;

/*
 * Look at what the loader has mapped: give sites to objects that are new, put away those that are
 * gone. ftrace_lock is held. @fresh: new objects were just mapped and none of their code has run,
 * so that they may be armed though other threads run.
 */
void ftrace_objects_scan(bool fresh);

/*
 * The same without any system call, in a process that may have forbidden them: nothing new is taken
 * in, but what is gone is put away. True: something that was wanted is left out.
 */
bool ftrace_objects_scan_quietly(void);

/*
 * Give the code of all objects back as it was and forget them, as if they were unloaded. Nobody
 * is registered; ftrace_lock is held. 0 or -errno: some are left as they are.
 */
int ftrace_objects_release(void);

/* Objects that no functions were found in, having no plan, are new to the next scan. ftrace_lock is held. */
void ftrace_objects_retry(void);

/* What is known already is announced once more to who asked to be told, or forgotten if not wanted now. */
void ftrace_objects_again(void);

/* Where the executable was loaded, in a process without a dynamic loader. */
unsigned long ftrace_static_base(void);

/* Into the list of all. */
void ftrace_objects_append(struct ftrace_object *obj);

/* Whoever asked to be told of objects is told: @obj has sites, or (@gone) was unloaded. */
void ftrace_object_tell(struct ftrace_object *obj, bool gone);

/* ---- object-add.c ---- */

/* The object at @path, whose file is @dev, @ino, was mapped at @base: give it sites. @fresh: see ftrace_objects_scan(). */
void ftrace_object_add(const char *path, unsigned long base, u64 dev, u64 ino, bool fresh);

/* ---- arm.c ---- */

/*
 * Write the displacements of @obj's sites: from here on one byte switches each. @alone: no other
 * thread can stand in their bytes; else all are stopped meanwhile. What cannot be armed is refused, said why.
 * -errno: the code cannot be changed.
 */
int ftrace_object_arm(struct ftrace_object *obj, bool alone);

/*
 * The opposite, where that is wanted (guest.h): its sites are off, and the bytes are as they were before.
 * 0 or -errno, logged: they are not.
 */
int ftrace_object_disarm(struct ftrace_object *obj);

/* ---- init.c ---- */

/* Be told by the loader of every dlopen and dlclose, before constructors run. 0 or -errno, logged. */
int ftrace_loader_hook(void);

bool ftrace_loader_is_hooked(void);

/* No more of that: its bytes are as they were. 0 or -errno, logged. */
int ftrace_loader_unhook(void);

#endif /* FTRACE_ENGINE_OBJECT_H */
