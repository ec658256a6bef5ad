/* SPDX-License-Identifier: MIT */
/*
 * Plans for objects that were never compiled for tracing: which functions' first instructions can be
 * moved, proven by decoding the object's whole text once. The form of a plan: engine/plan.h.
 *
 * Part of the command, never of a traced process. All functions may be used by several threads.
 */
#ifndef FTRACE_PLANNER_H
#define FTRACE_PLANNER_H

#include "engine/plan.h"

/*
 * Make the plan of the ELF object (executable or shared library) at @path: *@plan, *@size bytes,
 * for free(). Functions that cannot be moved are in it, each with its reason. Returns 0 or -errno,
 * *@why then says it in words that fit behind "PATH: " (static text):
 *
 * -ENOENT, -EACCES, ...: from open. -ENOEXEC: not an ELF file, or for a processor that nobody plans
 * for. -EIO: cut short or inconsistent. -ENOMEM. -EFBIG: more than a plan can hold.
 */
int planner_make(const char *path, void **plan, size_t *size, const char **why);

/*
 * Put the plan of the object at @path into the file @name in the open directory @dir_fd (mode 0600;
 * what was there is replaced). It is taken from the cache if there is a good one, else made, and
 * kept there. The file may be another name of the cache's: it must not be written to. Results as
 * planner_make(), and those of open and write, -ENOSPC, ...
 */
int planner_write(const char *path, int dir_fd, const char *name, const char **why);

/* The same, in memory: what planner_make() would give, by way of the cache. For planner_release(). */
int planner_get(const char *path, const void **plan, size_t *size, const char **why);
void planner_release(const void *plan, size_t size);

/*
 * The cache: $XDG_CACHE_HOME/ftrace, else $HOME/.cache/ftrace; used only if it belongs to this user
 * and nobody else can write to it. Files are named after the build-id (objects without one: after
 * device, inode, size and time of change), are written under another name and renamed, and the
 * longest unused go when all together take more than PLANNER_CACHE_SIZE. Without a cache everything
 * works, only slower.
 */
#define PLANNER_CACHE_SIZE	(256ul << 20)

#endif /* FTRACE_PLANNER_H */
