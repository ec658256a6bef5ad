/* SPDX-License-Identifier: MIT */
/* ftrace list: which functions of a program can be traced, and which cannot and why; its USDT probes. */
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/libraries.h"
#include "cmd/list-args.h"
#include "cmd/list-usdt.h"
#include "cmd/options.h"
#include "cmd/pager.h"
#include "engine/elf-file.h"
#include "engine/find.h"
#include "planner/planner.h"
#include "reader/demangle.h"

enum { KEY_NO_PAGER = 256, KEY_EVENTS, KEY_USDT };

static const struct cmd_option options[] = {
	{ "refused", 'r', NULL, "list the functions that cannot be traced instead, each with its reason" },
	{ "libs", 'l', NULL, "also those of the shared libraries it needs" },
	{ "demangle", 'C', NULL, "show C++ and Rust names as people write them" },
	{ "args", 'a', NULL, "show each function's prototype, as 'ftrace record -a' knows it" },
	{ "events", KEY_EVENTS, NULL, "and what that records of a call and its return" },
	{ "usdt", KEY_USDT, NULL, "list the probes that are in it (<sys/sdt.h>) instead of functions" },
	{ "no-pager", KEY_NO_PAGER, NULL, "do not run a pager" },
	{ NULL, 0, NULL, NULL },
};

static const struct cmd_usage usage = {
	.name = "list",
	.synopsis = "[OPTION...] PROGRAM [GLOB...]",
	.about = "Lists the functions of a program or shared library that can be traced, one a line, "
		 "as the\nsymbol table has them: the names that 'ftrace record -F' takes. With GLOBs "
		 "only those that\nmatch one of them (*, ?, [a-z], [!a-z]); one that matches a C++ or Rust name as people write it\nshows that.",
	.tables = { options },
	.notes = "Exit status: 1 if a file cannot be read or, but for --refused, nothing was listed.",
};

struct list {
	int refused, libs, demangle;
	int args, events, usdt;
	struct list_args prototypes;	/* of the object that is listed */
	char **globs;
	size_t listed, probes;
	int failed;
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* As a shell would find it, but for rights: a library is no program. */
static char *find_file(const char *name)
{
	const char *dirs = getenv("PATH"), *end;
	char path[PATH_MAX];
	struct stat st;

	if (strchr(name, '/') || !stat(name, &st))
		return strdup(name);
	for (; dirs; dirs = *end ? end + 1 : NULL) {
		end = strchrnul(dirs, ':');
		if ((size_t)snprintf(path, sizeof(path), "%.*s/%s", (int)(end - dirs), dirs,
				     name) < sizeof(path) &&
		    !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK))
			return strdup(path);
	}
	return strdup(name);
}

static int wanted(const struct list *l, const char *name)
{
	if (!*l->globs)
		return 1;
	for (char **g = l->globs; *g; g++)
		if (ftrace_glob(*g, strlen(*g), name))
			return 1;
	return 0;
}

/* One function, if it is of the kind that is listed. @reason: why it cannot be traced, or NULL. */
static void print_function(struct list *l, const char *name, uint64_t vaddr, const char *reason,
			   const char *library)
{
	char *shown;
	int raw;

	if (!reason != !l->refused)
		return;
	shown = trace_demangle(name, 0);
	if (!shown)
		exit(cmd_error("list: no memory"));
	raw = wanted(l, name);
	if (l->args && (raw || wanted(l, shown))) {
		list_args_add(&l->prototypes, name, vaddr);
		l->listed++;
	} else if (raw || wanted(l, shown)) {
		fputs(raw && !l->demangle ? name : shown, stdout);
		if (library)
			printf(" [%s]", library);
		if (reason)
			printf(": %s", reason);
		putchar('\n');
		l->listed++;
	}
	free(shown);
}

static void print_functions(struct list *l, const struct ftrace_finding *f, const char *library)
{
	for (u32 i = 0; i < f->nfound; i++)
		print_function(l, f->found[i].name, f->found[i].entry, f->found[i].reason, library);
}

/* Functions of an object that was never compiled for tracing; how many of them can be traced. */
static u32 print_planned(struct list *l, const char *path, const struct ftrace_plan_header *plan,
			 const char *library)
{
	const struct ftrace_planned *f = (const void *)((const char *)plan + plan->funcs);
	const char *strings = (const char *)plan + plan->strings;
	char *real = realpath(path, NULL), name[NAME_MAX + 32];
	u32 movable = 0;

	for (u32 i = 0; i < plan->nfuncs; i++) {
		if (!f[i].name)
			snprintf(name, sizeof(name), "%s+0x%llx", base_name(real ? real : path),
				 (unsigned long long)f[i].vaddr);
		print_function(l, f[i].name ? strings + f[i].name : name, f[i].vaddr,
			       f[i].form ? NULL : strings + f[i].reason, library);
		movable += f[i].form != FTRACE_FORM_NONE;
	}
	free(real);
	return movable;
}

/* ---- what kind of file it is ---- */

struct kind {
	int has_interpreter, executable;
};

static void look(const char *path, struct kind *kind)
{
	struct elf e;
	struct elf_section s;

	*kind = (struct kind){ 0 };
	if (elf_open(&e, path, NULL))
		return;
	kind->has_interpreter = elf_find_section(&e, ".interp", &s);
	/* A PIE is a DYN with an interpreter; a static one has DF_1_PIE in its dynamic section. */
	kind->executable = e.type == ET_EXEC || kind->has_interpreter;
	if (!kind->executable && elf_find_type(&e, SHT_DYNAMIC, &s) && s.data) {
		u32 word = elf_word_size(&e);

		for (u64 i = 0; i + 2 * word <= s.size; i += 2 * word)
			if (elf_word(&e, s.data + i) == DT_FLAGS_1 &&
			    elf_word(&e, s.data + i + word) & DF_1_PIE)
				kind->executable = 1;
	}
	elf_close(&e);
}

static const char *why_not(int err, const char *path)
{
	struct elf e;
	bool narrow;
	u16 type;

	switch (err) {
	case -ENOEXEC:
		if (elf_open(&e, path, NULL))
			return "not an ELF file; a program or shared library is needed";
		type = e.type;
		narrow = !e.wide && sizeof(long) == 8;
		elf_close(&e);
		if (type == ET_REL)
			return "not linked yet; a program or shared library is needed";
		if (narrow)
			return "a 32-bit file that was compiled for tracing, and only 64-bit ones of these are looked into; record it, and see 'ftrace report'";
		return "for another kind of processor; a program for this machine is needed";
	case -EIO:
		return "cut short or damaged; build or install it again";
	case -ENOENT:
		return "no such file; give the path of a program or library";
	case -EACCES:
		return "permission denied; you must be able to read it";
	}
	return NULL;
}

/* A narrow file that was not compiled for tracing: the planner reads it, if not what finds compiled sites. */
static bool only_planned(const char *path)
{
	struct elf_section s;
	struct elf e;
	bool planned;

	if (elf_open(&e, path, NULL))
		return false;
	planned = sizeof(long) == 8 && !e.wide && !e.swapped && e.type != ET_REL &&
		  !elf_find_section(&e, "__patchable_function_entries", &s) &&
		  !elf_find_section(&e, "__mcount_loc", &s);
	elf_close(&e);
	return planned;
}

static void list_planned(struct list *l, const char *path, int library)
{
	const void *plan;
	const char *why;
	size_t size;

	if (planner_get(path, &plan, &size, &why)) {
		cmd_error("%s: %s; compile it with -fpatchable-function-entry=5", path, why);
		l->failed = 1;
		return;
	}
	if (!print_planned(l, path, plan, library ? base_name(path) : NULL) && !l->refused && !library)
		cmd_error("%s: none of its functions can be traced; see why with 'ftrace list --refused %s'",
			  path, path);
	planner_release(plan, size);
}

static void cannot_read(struct list *l, const char *path, int err)
{
	const char *why = why_not(err, path);

	if (why)
		cmd_error("%s: %s", path, why);
	else
		cmd_error("%s: %s; try again", path, strerror(-err));
	l->failed = 1;
}

static void list_probes(struct list *l, const char *path, int library)
{
	struct list_usdt u = {
		.library = library ? base_name(path) : NULL, .globs = l->globs, .demangle = l->demangle,
	};
	int err = list_usdt_print(&u, path);

	if (err)
		cannot_read(l, path, err);
	l->listed += u.listed;
	l->probes += u.probes;
}

static void list_functions(struct list *l, const char *path, int library)
{
	struct ftrace_finding f;
	struct kind kind;
	int err = ftrace_find(path, &f);

	if (err == -ENOEXEC && only_planned(path)) {
		list_planned(l, path, library);
		return;
	}
	if (err) {
		cannot_read(l, path, err);
		return;
	}
	look(path, &kind);
	if (!library && kind.executable && !kind.has_interpreter)
		cmd_error("%s: statically linked, so 'ftrace record' cannot get into it; link it dynamically, or link libftrace.a into it and use the library's functions (libftrace(3))",
			  path);
	if (!library && (f.no_returns || f.no_own_returns))
		cmd_error("%s: %s; only entries of functions can be recorded (--tracer function)",
			  path, f.no_returns ? f.no_returns : f.no_own_returns);
	if (!f.nfound)
		list_planned(l, path, library);
	else if (f.nfound && f.nfound == f.nrefused && !l->refused && !library)
		cmd_error("%s: none of its %u instrumented functions can be traced; see why with 'ftrace list --refused %s'",
			  path, f.nfound, path);
	print_functions(l, &f, library ? base_name(path) : NULL);
	if (l->args)
		list_args_print(&l->prototypes, path, library ? base_name(path) : NULL, l->events);
	ftrace_find_done(&f);
}

static void list_object(struct list *l, const char *path, int library)
{
	if (l->usdt)
		list_probes(l, path, library);
	else
		list_functions(l, path, library);
}

static void list_library(const char *file, void *data)
{
	list_object(data, file, 1);
}

int cmd_list(int argc, char **argv)
{
	struct cmd_getopt g;
	struct list l = { 0 };
	int key, pager = 1;
	char *path;

	cmd_getopt_init(&g, &usage, argc, argv, 1);
	while ((key = cmd_getopt(&g)) != -1) {
		switch (key) {
		case 'r':
			l.refused = 1;
			break;
		case 'l':
			l.libs = 1;
			break;
		case 'C':
			l.demangle = 1;
			break;
		case KEY_EVENTS:
			l.events = 1;
			/* fall through */
		case 'a':
			l.args = 1;
			break;
		case KEY_USDT:
			l.usdt = 1;
			break;
		case KEY_NO_PAGER:
			pager = 0;
			break;
		}
	}
	if (optind == argc)
		return cmd_bad_use("list", "list: which PROGRAM?");
	if (l.args && l.refused)
		return cmd_bad_use("list", "--args and --refused exclude each other");
	if (l.usdt && (l.args || l.refused))
		return cmd_bad_use("list", "--usdt and --%s exclude each other", l.args ? "args" : "refused");
	path = find_file(argv[optind]);
	if (!path)
		return cmd_error("list: no memory");
	l.globs = argv + optind + 1;
	cmd_pager(pager);
	list_object(&l, path, 0);
	if (l.libs && !l.failed)
		l.failed |= cmd_for_each_library(path, list_library, &l);
	if (l.usdt && !l.probes && !l.failed)
		cmd_error("%s: no probes are in it%s: it has no .note.stapsdt; %s", path,
			  l.libs ? " or its libraries" : "",
			  l.libs ? "compile it with those of <sys/sdt.h>" :
				   "compile it with those of <sys/sdt.h>, or list its libraries' too (--libs)");
	free(path);
	return l.failed || (!l.listed && !l.refused);
}
