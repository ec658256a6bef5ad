/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/libraries.h"
#include "engine/elf-file.h"

static char *interpreter_of(const char *path)
{
	struct elf_section s;
	struct elf e;
	char *interp = NULL;
	int library;

	if (elf_open(&e, path, NULL))
		return NULL;
	library = e.type == ET_DYN;
	if (elf_find_section(&e, ".interp", &s) && s.data && s.size && !s.data[s.size - 1])
		interp = strdup((const char *)s.data);
	elf_close(&e);
	/* A library names no loader; our own knows what it needs as well. */
	return interp || !library || !strcmp(path, "/proc/self/exe") ? interp :
	       interpreter_of("/proc/self/exe");
}

int cmd_for_each_library(const char *path, void (*each)(const char *file, void *data), void *data)
{
	char *interp = interpreter_of(path), list_arg[] = "--list", *line = NULL;
	char file_arg[PATH_MAX + 2], *argv[] = { interp, list_arg, file_arg, NULL };
	posix_spawn_file_actions_t actions;
	int fds[2], status = 0, err, failed = 0;
	size_t size = 0;
	FILE *out;
	pid_t pid;

	if (!interp)
		return 0;	/* static: needs none */
	/* A name without a slash would be searched for as a library. */
	snprintf(file_arg, sizeof(file_arg), "%s%s", strchr(path, '/') ? "" : "./", path);
	if (pipe2(fds, O_CLOEXEC)) {
		free(interp);
		return cmd_error("%s: its libraries cannot be listed: pipe: %s; try again",
				 path, strerror(errno));
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	err = posix_spawn(&pid, interp, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	out = err ? NULL : fdopen(fds[0], "r");
	if (!out) {
		close(fds[0]);
		cmd_error("%s: its libraries cannot be listed: %s: %s; is it installed?", path,
			  interp, strerror(err ? err : errno));
		free(interp);
		return 1;
	}
	/*
	 * "\tlibc.so.6 => /lib/libc.so.6 (0x...)"; "\t/by/its/path.so (0x...)", which the loader
	 * itself is as well; the kernel's own has no slash.
	 */
	while (getline(&line, &size, out) > 0) {
		char *file = strstr(line, " => "), *end;

		file = file ? file + 4 : line + 1;
		if (*file != '/' || (!strncmp(file, interp, strlen(interp)) &&
				     file[strlen(interp)] == ' '))
			continue;
		end = strrchr(file, '(');
		if (!end || end == file)
			continue;
		end[-1] = '\0';
		each(file, data);
	}
	fclose(out);
	free(line);
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		failed = cmd_error("%s: its libraries cannot be listed: %s says why above; set LD_LIBRARY_PATH, or list without --libs",
				      path, interp);
	free(interp);
	return failed;
}
