/* SPDX-License-Identifier: MIT */
/*
 * ftrace patch: between its parts.
 *
 *	patch.c		the command line
 *	patch-apply.c	apply, revert, force: one process
 *	patch-which.c	which processes
 *	patch-file.c	a patch as a file
 *	patch-object.c	an object that it is for
 *	patch-check.c	the two compared
 *	patch-call.c	asking a process
 *	patch-state.c	what it answers
 */
#ifndef CMD_PATCH_H
#define CMD_PATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cmd/patch-file.h"


struct patch_options {
	bool all, any_build, no_wait, reverse;
	const char *processes;		/* -p */
	uint64_t timeout_ms;		/* 0: none */
	bool quiet;
};

/* ---- patch-which.c ---- */

struct patch_pids {
	pid_t *pid;
	size_t n;
};

/* Add those that @text names, parted by commas. 0 or -1, said. */
int patch_pids_named(struct patch_pids *pids, const char *text);

/* Every process that has an object that @file is for, by its build-id. 0 or -1, said. */
int patch_pids_with_object(struct patch_pids *pids, const struct patch_file *file);

/* Every process that an agent is in. */
void patch_pids_with_agent(struct patch_pids *pids);

/* ---- patch-apply.c ---- */

/* Each for one process; the command's exit status. @name: NULL, the only patch that can be meant. */
int patch_apply(pid_t pid, struct patch_file *file, const struct patch_options *opt);
int patch_revert(pid_t pid, const char *name, const struct patch_options *opt);
int patch_force(pid_t pid, const char *name, const struct patch_options *opt);
int patch_check_process(pid_t pid, struct patch_file *file, const struct patch_options *opt);

/* What patches @pid has: a line each, or (@details) all that is known, of @name alone unless that is NULL. */
int patch_show_process(pid_t pid, const char *name, bool details);

/* Ctrl-C ends waiting from here on, and not the command. */
void patch_catch_interrupt(void);

#endif /* CMD_PATCH_H */
