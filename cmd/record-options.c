/* SPDX-License-Identifier: MIT */
/* The command line of ftrace record. */
#include <getopt.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/record.h"
#include "prototype/spec.h"

enum { OPT_TRACER = 256, OPT_OVERWRITE, OPT_MAX_SIZE, OPT_BUFFER, OPT_WAIT, OPT_PROFILE, OPT_DURATION, OPT_TRIGGER, OPT_TID };

static const struct cmd_option record_options[] = {
	{ "output", 'o', "DIR", "record into DIR (default ftrace.data); a recording that is there\n"
				"already becomes DIR.old" },
	{ "pid", 'p', "PID", "record this process, which runs already: its number or name, several\n"
			     "parted by commas. Ends with Ctrl-C; the process goes on" },
	{ "tid", OPT_TID, "TID", "record only these threads, several parted by commas, of -p's processes or,\n"
				 "without -p, of those they belong to; not threads that they create" },
	{ "duration", OPT_DURATION, "TIME", "with -p: end after TIME (500ms, 10s)" },
	{ "filter", 'F', "PATTERN", "trace only functions that match: globs (*, ?, [a-z]), several\n"
				    "parted by spaces or commas, or a /regular expression/, for the\n"
				    "symbol name or the C++ or Rust name (ns::Class::*); may be given\n"
				    "several times" },
	{ "notrace", 'N', "PATTERN", "do not trace functions that match; wins over -F" },
	{ "libs", 'L', "GLOB", "trace functions of these libraries, too, libc if it matches: path or\n"
			       "file name" },
	{ "event", 'e', "EVENT", "record an event with values: 'f open path=+0($arg1):string', the kernel's\n"
				 "syntax of kprobe_events (p, r, f; SYM%return), or a USDT probe: 'u\n"
				 "PROVIDER:NAME'; with 'if FILTER' at its end only calls whose values it is true for; may be given several times" },
	{ "trigger", OPT_TRIGGER, "ACTION", "for the -e before: traceon, traceoff, stacktrace or snapshot[:COUNT]\n"
				     "[if FILTER]; snapshot (with --overwrite) copies what is kept to\n"
				     "DIR.snapshot-N" },
	{ "argument", 'A', "FUNC[@VALUE...]", "record arguments of calls of FUNC, a name, glob or /regular\n"
			       "expression/: arg1, arg2/s, arg3/x, fparg1/32, retval, parted by\n"
			       "commas; without a VALUE all that its debug information tells" },
	{ "retval", 'R', "FUNC[@retval...]", "record what FUNC returns" },
	{ "auto-args", 'a', NULL, "record arguments and results of all functions that are traced, by\n"
				  "their debug information (-g), libc's by a table" },
	{ "depth", 'D', "N", "record only calls at most N deep" },
	{ "threshold", 't', "TIME", "leave out calls shorter than TIME (500ns, 10us, 2ms) with no\n"
				    "longer ones inside" },
	{ "tracer", OPT_TRACER, "NAME", "function_graph: entries and returns (default); function:\n"
					"entries only; stack: no records, but the deepest stack and\n"
					"whose frames it consists of; nop: nothing" },
	{ "profile", OPT_PROFILE, NULL, "the same as --tracer profile: no records, but calls and times of each\n"
					"function, added up in memory; for 'ftrace report'" },
	{ "overwrite", OPT_OVERWRITE, NULL, "flight recorder: keep each thread's newest records in\n"
					    "memory, write them at the end" },
	{ "max-size", OPT_MAX_SIZE, "SIZE", "stop recording when the files hold SIZE (500M, 2G); default:\n"
					    "an eighth of the free disk space, at most 16G" },
	{ "buffer", OPT_BUFFER, "SIZE", "memory between a thread and the disk (128K to 1G; default 4M)" },
	{ "wait", OPT_WAIT, "TIME", "how long a thread waits for the disk before it drops records\n"
				    "(default 1s)" },
	{ NULL, 0, NULL, NULL }
};

static const struct cmd_usage record_usage = {
	.name = "record",
	.synopsis = "[OPTION...] [--] COMMAND [ARG...]\n"
		    "       ftrace record [OPTION...] [-p PID[,PID...]] [--tid TID[,TID...]]",
	.about = "Run COMMAND and record the calls of its functions, its children's too.\n"
		 "'ftrace list COMMAND' shows which functions can be traced.",
	.tables = { record_options },
	.notes = "Ends with COMMAND's status, or 128+N if signal N killed it.",
};

static bool is_regex(const char *text)
{
	size_t len = strlen(text);

	return len > 2 && text[0] == '/' && text[len - 1] == '/';
}

/*
 * The traced process has a matcher of its own (engine/name-regex.h), which knows less than regcomp():
 * what it does not know must not get there.
 */
static int check_regex(const char *text)
{
	char *copy = strndup(text + 1, strlen(text) - 2), why[200];
	regex_t re;
	int err;

	if (!copy)
		return cmd_error("%s: no memory", text);
	err = regcomp(&re, copy, REG_EXTENDED | REG_NOSUB);
	if (err)
		regerror(err, &re, why, sizeof(why));
	else
		regfree(&re);
	if (!err && strchr(copy, '{')) {
		err = 1;
		strcpy(why, "repeat counts in braces are not known here");
	}
	if (!err && (strstr(copy, "[[:") || strstr(copy, "[.") || strstr(copy, "[="))) {
		err = 1;
		strcpy(why, "character classes by name are not known here");
	}
	if (!err && strpbrk(copy, " ,\t")) {
		err = 1;
		strcpy(why, "a space or comma, which part patterns");
	}
	free(copy);
	return err ? cmd_bad_use("record", "%s: %s", text, why) : 0;
}

static int add_choice(struct record_options *opt, const char *file, const char *value)
{
	struct record_choice **last = &opt->choices, *c;
	int err;

	if (!value[strspn(value, " ,\t")])
		return cmd_bad_use("record", "an empty pattern");
	if (strchr(value, '\n'))
		return cmd_bad_use("record", "a pattern with a line break");
	if (is_regex(value)) {
		if (!strcmp(file, "set_object_filter"))
			return cmd_bad_use("record", "%s: libraries are chosen by globs only", value);
		err = check_regex(value);
		if (err)
			return err;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return cmd_error("%s: no memory", value);
	c->file = file;
	c->value = value;
	while (*last)
		last = &(*last)->next;
	*last = c;
	return 0;
}

/* Of -A and -R: looked at by us alone, with all that regcomp() knows. */
static int check_values_regex(const char *text)
{
	size_t len = strlen(text);
	char *copy = len > 2 && text[len - 1] == '/' ? strndup(text + 1, len - 2) : NULL, why[200];
	regex_t re;
	int err;

	if (!copy)
		return cmd_bad_use("record", "%s: a regular expression stands between two slashes", text);
	err = regcomp(&re, copy, REG_EXTENDED | REG_NOSUB);
	free(copy);
	if (!err) {
		regfree(&re);
		return 0;
	}
	regerror(err, &re, why, sizeof(why));
	return cmd_bad_use("record", "%s: not a regular expression: %s", text, why);
}

static int add_values(struct record_options *opt, const char *text, bool returns)
{
	struct record_values **last = &opt->values, *v = proto_alloc(&opt->values_arena, sizeof(*v));
	const char *why = spec_parse(&opt->values_arena, text, returns, &v->specs);

	if (why)
		return cmd_bad_use("record", "-%c %s: %s", returns ? 'R' : 'A', text, why);
	for (const struct spec *spec = v->specs; spec; spec = spec->next) {
		int err = *spec->function == '/' ? check_values_regex(spec->function) : 0;

		if (err)
			return err;
	}
	v->returns = returns;
	while (*last)
		last = &(*last)->next;
	*last = v;
	return 0;
}

static int set_tracer(struct record_options *opt, const char *name)
{
	static const char *const names[] = { "function_graph", "function", "profile", "stack", "nop" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i])) {
			opt->tracer = names[i];
			return 0;
		}
	return cmd_bad_use("record", "--tracer %s: no such tracer (there are function_graph, function, profile, stack, nop)",
			   name);
}

static int set_depth(struct record_options *opt, const char *text)
{
	uint64_t n;

	if (cmd_parse_number(text, &n) || n == 0 || n > 1024)
		return cmd_bad_use("record", "--depth %s: not a number from 1 to 1024", text);
	opt->depth = (uint32_t)n;
	return 0;
}

static int set_threshold(struct record_options *opt, const char *text)
{
	if (cmd_parse_duration(text, &opt->threshold_ns) || opt->threshold_ns > 3600000000000ull)
		return cmd_bad_use("record", "--threshold %s: not a time of at most an hour, like 500ns or 10us",
				   text);
	return 0;
}

static int set_wait(struct record_options *opt, const char *text)
{
	uint64_t ns;

	if (cmd_parse_duration(text, &ns) || ns > 3600000000000ull)
		return cmd_bad_use("record", "--wait %s: not a time of at most an hour, like 200ms", text);
	opt->wait_ms = (uint32_t)((ns + 999999) / 1000000);
	return 0;
}

static int set_size(const char *option, const char *text, uint64_t least, uint64_t most,
		    uint64_t *value)
{
	if (cmd_parse_size(text, value) || *value < least || *value > most)
		return cmd_bad_use("record", "%s %s: not a size from %lluK to %lluG", option, text,
				   (unsigned long long)least >> 10, (unsigned long long)most >> 30);
	return 0;
}

static int add_targets(struct record_options *opt, const char *list)
{
	char *both;

	if (!*list)
		return cmd_bad_use("record", "--pid: an empty name");
	if (asprintf(&both, "%s%s%s", opt->targets ? opt->targets : "", opt->targets ? "," : "", list) < 0)
		return cmd_error("%s: no memory", list);
	free((char *)opt->targets);
	opt->targets = both;
	return 0;
}

static int set_duration(struct record_options *opt, const char *text)
{
	if (cmd_parse_duration(text, &opt->duration_ns) || !opt->duration_ns ||
	    opt->duration_ns > 86400000000000000ull)
		return cmd_bad_use("record", "--duration %s: not a time, like 500ms or 10s", text);
	return 0;
}

static int set_option(struct record_options *opt, int key, const char *arg)
{
	switch (key) {
	case 'o':
		opt->output = arg;
		return *arg ? 0 : cmd_bad_use("record", "--output: an empty name");
	case 'p':
		return add_targets(opt, arg);
	case OPT_TID:
		return record_threads_add(opt, arg);
	case OPT_DURATION:
		return set_duration(opt, arg);
	case 'F':
		return add_choice(opt, "set_ftrace_filter", arg);
	case 'N':
		return add_choice(opt, "set_ftrace_notrace", arg);
	case 'e':
		return record_event_add(opt, arg);
	case OPT_TRIGGER:
		return record_event_trigger(opt, arg);
	case 'L':
		return add_choice(opt, "set_object_filter", arg);
	case 'A':
	case 'R':
		return add_values(opt, arg, key == 'R');
	case 'a':
		opt->auto_args = true;
		return 0;
	case 'D':
		return set_depth(opt, arg);
	case 't':
		return set_threshold(opt, arg);
	case OPT_TRACER:
		return set_tracer(opt, arg);
	case OPT_PROFILE:
		return set_tracer(opt, "profile");
	case OPT_OVERWRITE:
		opt->overwrite = true;
		return 0;
	case OPT_MAX_SIZE:
		return set_size("--max-size", arg, 64 << 10, 1ull << 60, &opt->max_size);
	case OPT_BUFFER:
		return set_size("--buffer", arg, 128 << 10, 1 << 30, &opt->buffer);
	default:
		return set_wait(opt, arg);
	}
}

static const struct cmd_usage attach_usage = {
	.name = "attach",
	.synopsis = "[OPTION...] PID[,PID...]",
	.about = "Record processes that run already, behind this command: 'ftrace detach' ends it,\n"
		 "'ftrace control' changes what is traced meanwhile.",
	.tables = { record_options },
};

static int parse_options(struct record_options *opt, const struct cmd_usage *usage, int argc,
			 char **argv)
{
	struct cmd_getopt g;
	int key, err;

	*opt = (struct record_options) {
		.output = "ftrace.data",
		.tracer = "function_graph",
		.buffer = 4 << 20,
		.wait_ms = 1000,
		.begun_fd = -1,
	};
	/* Behind the first word of record's come the program's own. */
	cmd_getopt_init(&g, usage, argc, argv, usage == &attach_usage);
	while ((key = cmd_getopt(&g)) != -1) {
		err = set_option(opt, key, g.arg);
		if (err)
			return err;
	}
	if (opt->snapshot_trigger && !opt->overwrite)
		return cmd_bad_use("record", "--trigger snapshot: only a flight recorder (--overwrite) has something to take one of");
	return 0;
}

/* In place of a command's line. */
static void name_targets(struct record_options *opt)
{
	static char pid[] = "-p", tid[] = "--tid", list[RECORD_MAX_THREADS * 12];
	static char *command[5];
	char **next = command;
	size_t len = 0;

	if (opt->targets) {
		*next++ = pid;
		*next++ = (char *)opt->targets;
	}
	for (size_t i = 0; i < opt->nthreads; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%d", i ? "," : "", opt->threads[i].tid);
	if (opt->nthreads) {
		*next++ = tid;
		*next++ = list;
	}
	opt->command = command;
}

int record_parse_attach(struct record_options *opt, int argc, char **argv)
{
	int err = parse_options(opt, &attach_usage, argc, argv);

	for (; !err && optind < argc; optind++)
		err = add_targets(opt, argv[optind]);
	if (err)
		return err;
	if (!opt->targets && !opt->nthreads)
		return cmd_bad_use("attach", "no process is named");
	name_targets(opt);
	return 0;
}

int record_parse(struct record_options *opt, int argc, char **argv)
{
	int err = parse_options(opt, &record_usage, argc, argv);

	if (err)
		return err;
	if (opt->targets || opt->nthreads) {
		if (optind < argc)
			return cmd_bad_use("record", "%s: a command and %s exclude each other", argv[optind],
					   opt->targets ? "-p" : "--tid");
		name_targets(opt);
		return 0;
	}
	if (opt->duration_ns)
		return cmd_bad_use("record", "--duration: only with -p");
	if (optind >= argc)
		return cmd_bad_use("record", "no command to record");
	opt->command = argv + optind;
	return 0;
}

void record_options_free(struct record_options *opt)
{
	free((char *)opt->targets);
	free(opt->threads);
	record_events_free(opt);
	proto_free(&opt->values_arena);
	free(opt->event_settings);
	free(opt->event_texts);
	while (opt->choices) {
		struct record_choice *c = opt->choices;

		opt->choices = c->next;
		free(c->setting);
		free(c);
	}
}
