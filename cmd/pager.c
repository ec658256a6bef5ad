/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/pager.h"

static pid_t pager;

static void finish(void)
{
	fflush(stdout);
	close(STDOUT_FILENO);
	while (waitpid(pager, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Is there such a program? Of what only a shell understands the answer is yes. */
static int runnable(const char *command)
{
	const char *dirs = getenv("PATH"), *end;
	size_t name = strcspn(command, " \t");
	char path[PATH_MAX];

	if (access("/bin/sh", X_OK))
		return 0;
	if (command[strcspn(command, "/=\"'$;&|<>(){}`\\")])
		return 1;
	for (; dirs; dirs = *end ? end + 1 : NULL) {
		end = strchrnul(dirs, ':');
		if ((size_t)snprintf(path, sizeof(path), "%.*s/%.*s", (int)(end - dirs), dirs, (int)name,
				     command) < sizeof(path) && !access(path, X_OK))
			return 1;
	}
	return 0;
}

void cmd_pager(int wanted)
{
	const char *command = getenv("FTRACE_PAGER");
	int ends[2];

	if (!wanted || !isatty(STDOUT_FILENO))
		return;
	if (!command)
		command = getenv("PAGER");
	if (!command)
		command = "less";
	if (!*command || !strcmp(command, "cat") || !runnable(command) || pipe2(ends, O_CLOEXEC))
		return;
	fflush(stdout);
	pager = fork();
	if (pager < 0) {
		close(ends[0]);
		close(ends[1]);
		return;
	}
	if (pager == 0) {
		dup2(ends[0], STDIN_FILENO);
		/* F: leave if it fits on the screen; R: colours; X: leave the text there. */
		setenv("LESS", "FRX", 0);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	dup2(ends[1], STDOUT_FILENO);
	close(ends[0]);
	close(ends[1]);
	/* Ctrl-C is for the pager (it stops less from reading on); we end when it goes. */
	signal(SIGINT, SIG_IGN);
	atexit(finish);
}
