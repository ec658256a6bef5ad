/* SPDX-License-Identifier: MIT */
/* ftrace COMMAND ...: finds the subcommand and runs it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "config.h"
#include "reader/repair.h"

#ifdef HAVE_CMD_RECORD
/* The architecture's; its own header is for code inside the traced process. */
uint64_t arch_ticks(void);
#endif

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
#ifdef HAVE_CMD_RECORD
	{ "record", cmd_record, "run a program and record its function calls" },
	{ "attach", cmd_attach, "record a process that runs already, behind this command" },
	{ "detach", cmd_detach, "end that" },
	{ "status", cmd_status, "show how a process that is attached to is traced" },
	{ "control", cmd_control, "read or change that" },
	{ "patch", cmd_patch, "replace functions of a running program" },
#endif
	{ "replay", cmd_replay, "show the recorded calls, one by one" },
	{ "report", cmd_report, "count calls and time of each function" },
	{ "graph", cmd_graph, "show who calls a function, and what it calls" },
	{ "info", cmd_info, "show what was recorded, and how" },
#ifdef HAVE_CMD_LIST
	{ "list", cmd_list, "list the functions of a program that can be traced" },
#endif
#ifdef HAVE_CMD_SELFTEST
	{ "selftest", cmd_selftest, "let the tracer test itself on this machine" },
#endif
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

int cmd_error(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("ftrace: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return 1;
}

int cmd_bad_use(const char *name, const char *format, ...)
{
	va_list args;

	fputs("ftrace: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "; see 'ftrace %s%s--help'\n", name ? name : "", name ? " " : "");
	return 2;
}

static void usage(FILE *out)
{
	fputs("usage: ftrace COMMAND [OPTION...]\n"
	      "\n"
	      "Traces the function calls of user-space programs, as the Linux kernel's ftrace does\n"
	      "those of the kernel.\n"
	      "\n"
	      "Commands:\n", out);
	for (size_t i = 0; i < NCOMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fputs("\n"
	      "  ftrace record ./program        records into ./ftrace.data\n"
	      "  ftrace replay | less           reads it\n"
	      "\n"
	      "'ftrace COMMAND --help' tells more; 'ftrace --version' names this version.\n", out);
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < NCOMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* How many letters to add, drop, change or swap with their neighbour to turn @a into @b. */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][33], *before = rows[0], *last = rows[1], *now = rows[2], *spare;
	size_t na = strlen(a), nb = strlen(b);

	if (na > 32 || nb > 32)
		return 100;
	for (size_t j = 0; j <= nb; j++)
		last[j] = j;
	for (size_t i = 1; i <= na; i++) {
		now[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (best > last[j] + 1)
				best = last[j] + 1;
			if (best > now[j - 1] + 1)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    best > before[j - 2] + 1)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[nb];
}

static int unknown(const char *name)
{
	unsigned best = 100;
	const char *nearest = NULL;

	for (size_t i = 0; i < NCOMMANDS; i++) {
		unsigned d = distance(name, commands[i].name);

		/* "rep" is far from "replay", yet it begins like it. */
		if (name[0] && !strncmp(commands[i].name, name, strlen(name)))
			d = 1;
		if (d < best) {
			best = d;
			nearest = commands[i].name;
		}
	}
	if (best <= 1 + strlen(name) / 3)
		return cmd_bad_use(NULL, "%s: no such command (did you mean '%s'?)", name, nearest);
	return cmd_bad_use(NULL, "%s: no such command", name);
}

int main(int argc, char **argv)
{
	const struct command *command;

#ifdef HAVE_CMD_RECORD
	trace_ticks_now = arch_ticks;
#endif
	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V") ||
	    !strcmp(argv[1], "version")) {
		puts("ftrace version " FTRACE_VERSION);
		return 0;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		static char help[] = "--help";
		char *args[] = { argv[2], help, NULL };

		if (argc < 3 || argv[1][0] == '-') {
			usage(stdout);
			return 0;
		}
		command = find(argv[2]);
		return command ? command->run(2, args) : unknown(argv[2]);
	}
	if (argv[1][0] == '-')
		return cmd_bad_use(NULL, "%s: no such option", argv[1]);
	command = find(argv[1]);
	return command ? command->run(argc - 1, argv + 1) : unknown(argv[1]);
}
