/* SPDX-License-Identifier: MIT */
/* Which processes are to be patched. */
#include "cmd/patch.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ftrace/patch-records.h>

#include "cmd/cmd.h"
#include "cmd/target.h"
#include "config.h"
#include "engine/elf-file.h"

static int add(struct patch_pids *pids, pid_t pid)
{
	pid_t *more;

	for (size_t i = 0; i < pids->n; i++)
		if (pids->pid[i] == pid)
			return 0;
	more = realloc(pids->pid, (pids->n + 1) * sizeof(*more));
	if (!more)
		return cmd_error("no memory");
	pids->pid = more;
	more[pids->n++] = pid;
	return 0;
}

int patch_pids_named(struct patch_pids *pids, const char *text)
{
	char *list = strdup(text), *next = list, *word;
	int err = list ? 0 : cmd_error("no memory");

	while (!err && (word = strsep(&next, ","))) {
		pid_t pid = 0;

		err = *word && (target_find(word, &pid) || add(pids, pid));
	}
	free(list);
	return err ? -1 : 0;
}

/* Calls @each for every process but us. */
static void for_each_process(void (*each)(pid_t pid, void *data), void *data)
{
	DIR *d = opendir("/proc");
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		pid_t pid = (pid_t)atoi(entry->d_name);

		if (pid > 0 && pid != getpid())
			each(pid, data);
	}
	if (d)
		closedir(d);
}

/* ---- by build-id ---- */

struct by_object {
	struct patch_pids *pids;
	const struct patch_file *file;
	int err;
};

static bool has_build_id(const char *path, const char *build_id)
{
	char hex[41];
	struct elf e;

	if (elf_open(&e, path, NULL))
		return false;
	elf_build_id(&e, hex);
	elf_close(&e);
	return !strcmp(hex, build_id);
}

/* Calls for each line of /proc/@pid/maps that executes a file: true when @each has said so of one. */
static bool any_mapping(pid_t pid, bool (*each)(pid_t pid, const char *range, const char *path, const void *data),
			const void *data)
{
	char name[64], line[PATH_MAX + 256], last[PATH_MAX] = "";
	bool found = false;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/maps", pid);
	f = fopen(name, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		char *path = strchr(line, '/'), *range = strtok(line, " ");

		if (!path || !range)
			continue;
		path[strcspn(path, "\n")] = 0;
		if (!strcmp(path, last))
			continue;
		snprintf(last, sizeof(last), "%s", path);
		found = each(pid, range, path, data);
	}
	if (f)
		fclose(f);
	return found;
}

struct wanted {
	const char *object, *build_id;
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_object(pid_t pid, const char *range, const char *path, const void *data)
{
	const struct wanted *w = data;
	char file[PATH_MAX + 64];
	size_t len = strlen(base_name(w->object));

	if (strncmp(base_name(path), base_name(w->object), len))
		return false;
	/* By the mapping itself, which needs rights; else by its name. */
	snprintf(file, sizeof(file), "/proc/%d/map_files/%s", pid, range);
	if (has_build_id(file, w->build_id))
		return true;
	snprintf(file, sizeof(file), "/proc/%d/root%s", pid, path);
	return has_build_id(file, w->build_id);
}

static void look_for_objects(pid_t pid, void *data)
{
	struct by_object *by = data;
	char exe[64];

	for (size_t i = 0; i < by->file->nrecords; i++) {
		const struct patch_record *r = &by->file->records[i];
		struct wanted w = { r->object, patch_file_build_id(by->file, r->object) };
		bool has;

		if (r->kind != KLP_RECORD_FUNC || !w.build_id)
			continue;
		snprintf(exe, sizeof(exe), "/proc/%d/exe", pid);
		has = w.object ? any_mapping(pid, is_object, &w) : has_build_id(exe, w.build_id);
		if (!has)
			continue;
		/* A zombie has none. */
		by->err |= add(by->pids, pid);
		return;
	}
}

int patch_pids_with_object(struct patch_pids *pids, const struct patch_file *file)
{
	struct by_object by = { pids, file, 0 };

	for (size_t i = 0; i < file->nrecords; i++)
		if (file->records[i].kind == KLP_RECORD_FUNC &&
		    !patch_file_build_id(file, file->records[i].object))
			return cmd_error("%s: --all needs to know for which build of %s it is; 'ftrace patch stamp' says that",
					 file->path, patch_object_name(file->records[i].object)) ? -1 : 0;
	for_each_process(look_for_objects, &by);
	if (!by.err && !pids->n)
		by.err = cmd_error("%s: no process has what it is for, or may be looked at", file->path);
	return by.err ? -1 : 0;
}

/* ---- by the agent ---- */

static bool is_agent(pid_t pid, const char *range, const char *path, const void *data)
{
	return strstr(path, FTRACE_AGENT_NAME) || !strncmp(path, "/memfd:ftrace-agent", 19);
}

static void look_for_agent(pid_t pid, void *data)
{
	if (any_mapping(pid, is_agent, NULL))
		add(data, pid);
}

void patch_pids_with_agent(struct patch_pids *pids)
{
	for_each_process(look_for_agent, pids);
}
