/* SPDX-License-Identifier: MIT */
/* Recording processes that run already: which they are, whether they belong together, and whose the session is. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/inject.h"
#include "cmd/agent-call.h"
#include "cmd/cmd.h"
#include "cmd/record-attach.h"
#include "cmd/target.h"
#include "preload/preload-config.h"

static ino_t namespace_of(pid_t pid, const char *name)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	return stat(path, &st) ? 0 : st.st_ino;
}

static int add_target(struct record_attach *a, pid_t pid)
{
	const struct inject_abi *abi;
	struct record_target *t;

	for (size_t i = 0; i < a->n; i++)
		if (a->targets[i].pid == pid)
			return 0;
	if (target_check(pid))
		return -1;
	t = realloc(a->targets, (a->n + 1) * sizeof(*t));
	if (!t)
		return cmd_error("no memory");
	a->targets = t;
	t += a->n;
	abi = target_abi(pid);
	if (!abi)
		return cmd_error("process %d: has ended", pid);
	*t = (struct record_target){ .pid = pid, .inner_pid = target_inner_pid(pid), .wide = abi->wide };
	target_comm(pid, t->comm, sizeof(t->comm));
	t->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (t->pidfd < 0)
		return cmd_error("process %d (%s): %s", pid, t->comm, strerror(errno));
	a->n++;
	return 0;
}

/* They share one session, which all of them must see, and own. */
static int check_together(struct record_attach *a)
{
	pid_t first = a->targets[0].pid;

	a->uid = (uid_t)target_status(first, "status", "Uid:", 10, geteuid());
	a->gid = (gid_t)target_status(first, "status", "Gid:", 10, getegid());
	a->other_pids = namespace_of(first, "pid") != namespace_of(getpid(), "pid");
	for (size_t i = 1; i < a->n; i++) {
		pid_t pid = a->targets[i].pid;

		if (namespace_of(pid, "mnt") != namespace_of(first, "mnt") ||
		    namespace_of(pid, "pid") != namespace_of(first, "pid"))
			return cmd_error("processes %d and %d live in different containers (namespaces); record them one by one",
					 first, pid);
		if ((uid_t)target_status(pid, "status", "Uid:", 10, a->uid) != a->uid)
			return cmd_error("processes %d and %d have different users; record them one by one",
					 first, pid);
	}
	return 0;
}

#ifndef FTRACE_LIB_NARROW
#define FTRACE_LIB_NARROW FTRACE_LIB_WIDE	/* none such is attached to: target_check() */
#endif

/* Those that are needed, for each width. */
static int find_all_files(const struct record *r, struct record_attach *a)
{
	int err = 0;

	for (size_t i = 0; i < a->n && !err; i++) {
		struct agent_files *files = &a->files[a->targets[i].wide];

		if (!*files->agent)
			err = agent_find_files(r->preload, a->targets[i].wide ? FTRACE_LIB_WIDE : FTRACE_LIB_NARROW,
					       files->agent, files->library);
	}
	return err;
}

/* The threads of --tid and the processes of -p belong together. */
static int check_threads(const struct record_options *opt, const struct record_attach *a)
{
	size_t i, k;

	for (k = 0; k < opt->nthreads; k++) {
		const struct record_thread *t = &opt->threads[k];

		for (i = 0; i < a->n && a->targets[i].pid != t->pid; i++)
			;
		if (i == a->n)
			return cmd_error("thread %d: it is one of process %d, not of what -p names; choose that as well, or leave -p away",
					 t->tid, t->pid);
	}
	for (i = 0; opt->nthreads && i < a->n; i++) {
		for (k = 0; k < opt->nthreads && opt->threads[k].pid != a->targets[i].pid; k++)
			;
		if (k == opt->nthreads)
			return cmd_error("process %d (%s): none of its threads is one of --tid; leave it away", a->targets[i].pid,
					 a->targets[i].comm);
	}
	return 0;
}

int record_attach_check(struct record *r)
{
	struct record_attach *a = calloc(1, sizeof(*a));
	char *list = strdup(r->opt->targets), *next = list, *word;
	int err = 0;

	if (!a || !list)
		return cmd_error("no memory");
	r->attach = a;
	while (!err && (word = strsep(&next, ","))) {
		pid_t pid = 0;

		if (!*word)
			continue;
		err = target_find(word, &pid);
		if (!err)
			err = add_target(a, pid);
	}
	free(list);
	if (!err)
		err = check_threads(r->opt, a);
	if (!err && !a->n)
		err = cmd_bad_use("record", "-p: no process is named");
	if (!err)
		err = check_together(a);
	if (!err)
		err = find_all_files(r, a);
	if (err)
		return -1;
	snprintf(r->program, sizeof(r->program), "process %d (%s)", a->targets[0].pid,
		 a->targets[0].comm);
	return 0;
}

int record_attach_names(struct record *r, struct record_options *opt)
{
	char exe[64];

	/* What it executes now, wherever it lives; the first one's, as of a command. */
	snprintf(exe, sizeof(exe), "/proc/%d/exe", r->attach->targets[0].pid);
	return record_resolve_names(opt, exe) || record_resolve_args(opt, exe);
}

/* ---- where and whose the session is ---- */

void record_attach_place(const struct record *r, char *prefix, size_t size)
{
	agent_shm_prefix(r->attach->targets[0].pid, prefix, size);
}

int record_attach_own(struct record *r)
{
	struct record_attach *a = r->attach;

	/* Not a number of ours there: that we are gone is told by the heartbeat alone. */
	if (a->other_pids)
		r->control->recorder_pid = 0;
	if (a->uid == geteuid())
		return 0;
	if (fchown(r->session_fd, a->uid, a->gid) ||
	    fchownat(r->session_fd, "control", a->uid, a->gid, 0))
		return -errno;
	return 0;
}

void record_attach_give(const struct record *r, const char *name)
{
	if (r->attach && r->attach->uid != geteuid() &&
	    fchownat(r->session_fd, name, r->attach->uid, r->attach->gid, AT_SYMLINK_NOFOLLOW))
		return;		/* who cannot read it has to do without */
}

pid_t record_attach_pid(const struct record *r, pid_t pid)
{
	const struct record_attach *a = r->attach;

	if (!a || !a->other_pids)
		return pid;
	for (size_t i = 0; i < a->n; i++)
		if (a->targets[i].inner_pid == pid)
			return a->targets[i].pid;
	return -1;
}

void record_attach_free(struct record *r)
{
	struct record_attach *a = r->attach;

	for (size_t i = 0; a && i < a->n; i++)
		close(a->targets[i].pidfd);
	if (a)
		free(a->targets);
	free(a);
	r->attach = NULL;
}
