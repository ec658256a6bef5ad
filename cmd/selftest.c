/* SPDX-License-Identifier: MIT */
/* ftrace selftest: runs ftrace-selftest, which is linked with the library. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/options.h"
#include "config.h"
#include "preload/preload-config.h"

enum { OPT_STRESS = 256, OPT_TAP, OPT_LIST, OPT_MACHINE };

static const struct cmd_option options[] = {
	{ "stress", OPT_STRESS, NULL,
	  "turn all functions on and off 5000 times under running threads\n"
	  "(without it: 300 times)" },
	{ "rounds", 'r', "N", "the same N times" },
	{ "machine", OPT_MACHINE, "NAME",
	  "test the tracer of programs for machine NAME, if it was built\n"
	  "(" FTRACE_MACHINE_WIDE
#ifdef FTRACE_MACHINE_NARROW
	  ", " FTRACE_MACHINE_NARROW
#endif
	  ")" },
	{ "list", OPT_LIST, NULL, "list the tests" },
	{ "tap", OPT_TAP, NULL, "print the Test Anything Protocol, for test harnesses" },
	{ NULL, 0, NULL, NULL }
};

static const struct cmd_usage usage = {
	.name = "selftest",
	.synopsis = "[OPTION...] [NAME...]",
	.about = "Lets the tracer test itself on this machine: whether functions are traced, each as\n"
		 "often as it is called, with the right registers, while code is changed under\n"
		 "running threads. With NAMEs only tests whose name contains one of them.\n"
		 "\n"
		 "Exits 0 when every test passed, 1 when one failed.",
	.tables = { options },
};

/* In which folder of the build tree, and below which of the agent's, is the one for @machine? */
static bool find_folders(const char *machine, const char **build, const char **installed)
{
	if (!machine || !strcmp(machine, FTRACE_MACHINE_WIDE)) {
		*build = FTRACE_SELFTEST_BUILD_SUBDIR;
		*installed = FTRACE_AGENT_DIR;
		return true;
	}
#ifdef FTRACE_MACHINE_NARROW
	if (!strcmp(machine, FTRACE_MACHINE_NARROW)) {
		*build = FTRACE_COMPAT_BUILD_SUBDIR;
		*installed = FTRACE_AGENT_DIR "/" FTRACE_MACHINE_NARROW;
		return true;
	}
#endif
	return false;
}

static bool find_program(const char *build, const char *installed, char *path, size_t size)
{
	static const char name[] = "ftrace-selftest";
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	/* In the build tree first: seen from the command's folder. */
	if (n > 0) {
		self[n] = 0;
		*strrchr(self, '/') = 0;
		if ((size_t)snprintf(path, size, "%s/%s/%s", self, build, name) < size && !access(path, X_OK))
			return true;
	}
	return (size_t)snprintf(path, size, "%s/%s", installed, name) < size &&
	       !access(path, X_OK);
}

int cmd_selftest(int argc, char **argv)
{
	char path[PATH_MAX + 64], rounds[48] = "";
	const char *machine = NULL, *build, *installed;
	char **args = calloc((size_t)argc + 8, sizeof(*args));
	struct cmd_getopt g;
	uint64_t number;
	size_t n = 0;
	int key;

	if (!args)
		return cmd_error("no memory");
	args[n++] = path;
	cmd_getopt_init(&g, &usage, argc, argv, 1);
	while ((key = cmd_getopt(&g)) != -1) {
		switch (key) {
		case OPT_STRESS:
			args[n++] = "--stress";
			break;
		case OPT_TAP:
			args[n++] = "--tap";
			break;
		case OPT_MACHINE:
			machine = g.arg;
			break;
		case OPT_LIST:
			args[n++] = "--list";
			break;
		case 'r':
			if (cmd_parse_number(g.arg, &number) || !number || number > 100000000) {
				free(args);
				return cmd_bad_use("selftest", "%s: not a number of rounds", g.arg);
			}
			snprintf(rounds, sizeof(rounds), "--stress=%llu", (unsigned long long)number);
			args[n++] = rounds;
			break;
		}
	}
	args[n++] = "--";
	for (int i = optind; i < argc; i++)
		args[n++] = argv[i];
	if (!find_folders(machine, &build, &installed)) {
		free(args);
		return cmd_error("selftest: %s: libftrace was not built for programs of that machine", machine);
	}
	if (find_program(build, installed, path, sizeof(path))) {
		fflush(NULL);
		execv(path, args);
	}
	free(args);
	return cmd_error("selftest: ftrace-selftest: %s; it belongs into %s: install libftrace, or build it whole",
			 strerror(errno), installed);
}
