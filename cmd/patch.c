/* SPDX-License-Identifier: MIT */
/* ftrace patch: its command line. */
#include "cmd/patch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/patch-check.h"
#include "cmd/target.h"

#define TIMEOUT_MS	30000u

enum { KEY_ALL = 256, KEY_ANY_BUILD, KEY_NO_WAIT, KEY_TIMEOUT, KEY_REVERSE };

static const struct cmd_option options[] = {
	{ "process", 'p', "PID|NAME,...", "these processes, instead of a PID as the first word" },
	{ "all", KEY_ALL, NULL, "apply: every process that has an object the patch is for, by its build-id;\n"
				"others: every process that has patches" },
	{ "timeout", KEY_TIMEOUT, "TIME", "wait so long for threads to go over (30s; 0: as long as it takes)" },
	{ "reverse", KEY_REVERSE, NULL, "when that time is over, go back, instead of leaving it under way" },
	{ "no-wait", KEY_NO_WAIT, NULL, "do not wait at all" },
	{ "any-build", KEY_ANY_BUILD, NULL, "whatever build-id the objects have" },
	{ "quiet", 'q', NULL, "say nothing of what went well" },
	{ NULL, 0, NULL, NULL },
};

static const struct cmd_usage usage = {
	.name = "patch",
	.synopsis = "apply [PID] FIX.so | revert [PID] [NAME] | force [PID] [NAME] |\n"
		    "                    list [PID] | status [PID] [NAME] |\n"
		    "                    check FIX.so [PID|FILE...] | stamp FIX.so FILE...",
	.about = "Replaces functions in running programs by those of a patch, and puts them back: thread by thread,\n"
		 "each when none of them is on its stack, so that no thread meets old and new mixed. A patch is\n"
		 "a C or C++ file that includes <ftrace/patch.h>, compiled with 'cc -shared -fPIC'.\n"
		 "\n"
		 "  apply   load the patch into a process, and enable it; it stays when this command ends\n"
		 "  revert  disable it; also while it is being applied\n"
		 "  list    the patches of a process, or (--all, or no PID) of all\n"
		 "  status  all that is known of them: also who holds up one that is on its way\n"
		 "  force   end the transition of one that is on its way, whatever is on the stacks\n"
		 "  check   what of it cannot be applied to a process or to files, and why; changes nothing\n"
		 "  stamp   write into the patch which builds of these files it is for: no others are patched",
	.tables = { options },
	.notes = "Exit status: 1 if anything failed, or is still under way; 2 for bad use.",
};

/* What stands behind the options. */
struct words {
	char **word;
	int n;
};

static int find_pids(struct patch_pids *pids, struct words *w, const struct patch_options *opt)
{
	if (opt->processes)
		return patch_pids_named(pids, opt->processes);
	if (!w->n)
		return cmd_bad_use("patch", "no process is named");
	w->n--;
	return patch_pids_named(pids, *w->word++);
}

/* A patch's name, or the file that it is: what that is called. */
static int find_name(const char *text, char name[64])
{
	size_t len = strlen(text);
	struct patch_file file;

	if ((len > 3 && !strcmp(text + len - 3, ".so")) || strchr(text, '/')) {
		if (patch_file_open(&file, text))
			return 1;
		snprintf(name, 64, "%s", file.name);
		patch_file_close(&file);
		return 0;
	}
	snprintf(name, 64, "%s", text);
	return 0;
}

/* ---- apply ---- */

static int apply(struct words *w, const struct patch_options *opt)
{
	struct patch_pids pids = { 0 };
	struct patch_file file;
	int err = 0;

	if (!opt->all && !opt->processes && w->n < 2)
		return cmd_bad_use("patch", w->n ? "apply: a process and a patch are needed" :
				   "apply: no process is named");
	if (w->n != (opt->all || opt->processes ? 1 : 2))
		return cmd_bad_use("patch", "apply: %s", w->n ? "one patch at a time" : "no patch is named");
	if (patch_file_open(&file, w->word[w->n - 1]))
		return 1;
	err = opt->all ? patch_pids_with_object(&pids, &file) : find_pids(&pids, w, opt);
	for (size_t i = 0; !err && i < pids.n; i++)
		/* With several, one that fails is no reason to leave out the others. */
		if (patch_apply(pids.pid[i], &file, opt))
			err = pids.n > 1 && i + 1 < pids.n ? 0 : 1;
	patch_file_close(&file);
	free(pids.pid);
	return err < 0 ? 1 : err;
}

/* ---- revert, force, list, status ---- */

enum verb { REVERT, FORCE, LIST, STATUS };

static int with_one(enum verb verb, pid_t pid, const char *name, const struct patch_options *opt)
{
	switch (verb) {
	case REVERT:
		return patch_revert(pid, name, opt);
	case FORCE:
		return patch_force(pid, name, opt);
	case LIST:
		return patch_show_process(pid, name, false);
	case STATUS:
		return patch_show_process(pid, name, true);
	}
	return 1;
}

static int with_patches(enum verb verb, struct words *w, const struct patch_options *opt)
{
	bool shows = verb == LIST || verb == STATUS, all = opt->all || (shows && !w->n && !opt->processes);
	struct patch_pids pids = { 0 };
	char name[64] = "";
	int err = 0, failed = 0;

	if (all)
		patch_pids_with_agent(&pids);
	else
		err = find_pids(&pids, w, opt);
	if (!err && w->n > 1)
		err = cmd_bad_use("patch", "%s: one patch at a time", w->word[1]);
	if (!err && w->n)
		err = find_name(w->word[0], name);
	for (size_t i = 0; !err && i < pids.n; i++)
		failed |= with_one(verb, pids.pid[i], *name ? name : NULL, opt);
	free(pids.pid);
	return err < 0 ? 1 : err ? err : failed;
}

/* ---- check, stamp ---- */

static int check_files(struct patch_file *file, char **path, int n, const struct patch_options *opt)
{
	struct patch_check c;
	int err = patch_check_begin(&c, file);

	c.any_build = opt->any_build;
	for (int i = 0; !err && i < n; i++)
		if (patch_check_use_file(&c, path[i]))
			err = access(path[i], R_OK) ? cmd_error("%s: %s", path[i], strerror(errno)) :
			      cmd_error("%s: the patch is for nothing of that name", path[i]);
	if (!err)
		err = patch_check(&c);
	if (!err)
		printf("%s: can be applied to %s%s\n", file->path, n == 1 ? path[0] : "them",
		       n ? "" : ": nothing was named");
	patch_check_end(&c);
	return err ? 1 : 0;
}

static bool is_process(const char *word)
{
	return *word && !word[strspn(word, "0123456789")] && access(word, F_OK);
}

static int check(struct words *w, const struct patch_options *opt)
{
	struct patch_pids pids = { 0 };
	struct patch_file file;
	const char *path = w->n ? w->word[0] : NULL;
	int err = 0;

	/* "check PID FIX.so", as apply has it, will do as well. */
	if (w->n == 2 && is_process(w->word[0]))
		path = w->word[1];
	if (!path)
		return cmd_bad_use("patch", "check: no patch is named");
	if (w->n < 2 && !opt->processes && !opt->all)
		return cmd_bad_use("patch", "check: against what? Name a process, or the files that it is for");
	if (patch_file_open(&file, path))
		return 1;
	if (opt->all)
		err = patch_pids_with_object(&pids, &file);
	else if (opt->processes)
		err = patch_pids_named(&pids, opt->processes);
	else if (w->n == 2 && is_process(w->word[path == w->word[0]]))
		err = patch_pids_named(&pids, w->word[path == w->word[0]]);
	else
		err = check_files(&file, w->word + 1, w->n - 1, opt);
	for (size_t i = 0; err >= 0 && i < pids.n; i++)
		err |= patch_check_process(pids.pid[i], &file, opt) ? 1 : 0;
	patch_file_close(&file);
	free(pids.pid);
	return err ? 1 : 0;
}

static int stamp_one(struct patch_file *file, const char *path)
{
	struct patch_object *o = NULL;
	struct patch_check c;
	int err = patch_check_begin(&c, file);

	if (!err && patch_check_use_file(&c, path))
		err = access(path, R_OK) ? cmd_error("%s: %s", path, strerror(errno)) :
		      cmd_error("%s: the patch is for nothing of that name", path);
	for (size_t i = 0; !err && i < c.nobjects; i++)
		if (c.objects[i].path[0])
			o = &c.objects[i];
	if (!err)
		err = patch_object_open(o);
	if (!err && !o->build_id[0])
		err = cmd_error("%s: has no build-id; link it with -Wl,--build-id, or patch it with --any-build", path);
	if (!err)
		err = patch_file_stamp(file, o->name, o->build_id);
	if (!err)
		printf("%s: is for build-id %s of %s\n", file->path, o->build_id, path);
	patch_check_end(&c);
	return err;
}

static int stamp(struct words *w, const struct patch_options *opt)
{
	int err = 0;

	if (w->n < 2)
		return cmd_bad_use("patch", w->n ? "stamp: for the build of which file?" :
				   "stamp: no patch is named");
	for (int i = 1; !err && i < w->n; i++) {
		struct patch_file file;

		if (patch_file_open(&file, w->word[0]))
			return 1;
		err = stamp_one(&file, w->word[i]);
		patch_file_close(&file);
	}
	return err ? 1 : 0;
}

/* ---- all of it ---- */

static uint64_t parse_timeout(const char *text)
{
	uint64_t ns;

	if (cmd_parse_duration(text, &ns))
		exit(cmd_bad_use("patch", "--timeout %s: not a duration (20ms, 1.5s, 3m)", text));
	return ns && ns < 1000000 ? 1 : ns / 1000000;
}

int cmd_patch(int argc, char **argv)
{
	struct patch_options opt = { .timeout_ms = TIMEOUT_MS };
	struct words w;
	struct cmd_getopt g;
	const char *verb;
	int key;

	cmd_getopt_init(&g, &usage, argc, argv, 1);
	while ((key = cmd_getopt(&g)) != -1) {
		switch (key) {
		case 'p':
			opt.processes = g.arg;
			break;
		case 'q':
			opt.quiet = true;
			break;
		case KEY_ALL:
			opt.all = true;
			break;
		case KEY_ANY_BUILD:
			opt.any_build = true;
			break;
		case KEY_NO_WAIT:
			opt.no_wait = true;
			break;
		case KEY_REVERSE:
			opt.reverse = true;
			break;
		case KEY_TIMEOUT:
			opt.timeout_ms = parse_timeout(g.arg);
			break;
		}
	}
	w = (struct words){ argv + optind, argc - optind };
	if (!w.n)
		return cmd_bad_use("patch", "what is to be done?");
	if (opt.all && opt.processes)
		return cmd_bad_use("patch", "--all and --process: one of them");
	verb = *w.word++;
	w.n--;
	patch_catch_interrupt();
	if (!strcmp(verb, "apply"))
		return apply(&w, &opt);
	if (!strcmp(verb, "revert"))
		return with_patches(REVERT, &w, &opt);
	if (!strcmp(verb, "force"))
		return with_patches(FORCE, &w, &opt);
	if (!strcmp(verb, "list"))
		return with_patches(LIST, &w, &opt);
	if (!strcmp(verb, "status"))
		return with_patches(STATUS, &w, &opt);
	if (!strcmp(verb, "check"))
		return check(&w, &opt);
	if (!strcmp(verb, "stamp"))
		return stamp(&w, &opt);
	return cmd_bad_use("patch", "%s: apply, revert, force, list, status, check or stamp", verb);
}
