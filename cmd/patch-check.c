/* SPDX-License-Identifier: MIT */
/* Comparing a patch with the objects that it is for; see patch-check.h. */
#include "cmd/patch-check.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ftrace/patch-records.h>

#include "cmd/cmd.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static struct patch_object *object_of(const struct patch_check *c, const char *name)
{
	for (size_t i = 0; i < c->nobjects; i++)
		if (patch_same_object(c->objects[i].name, name))
			return &c->objects[i];
	return NULL;
}

int patch_check_begin(struct patch_check *c, struct patch_file *file)
{
	*c = (struct patch_check){ .file = file };
	c->objects = calloc(file->nrecords + 1, sizeof(*c->objects));
	c->found = calloc(file->nrecords + 1, sizeof(*c->found));
	if (!c->objects || !c->found) {
		patch_check_end(c);
		return cmd_error("no memory");
	}
	for (size_t i = 0; i < file->nrecords; i++) {
		const struct patch_record *r = &file->records[i];

		if ((r->kind == KLP_RECORD_FUNC || r->kind == KLP_RECORD_SYMBOL) && !object_of(c, r->object))
			c->objects[c->nobjects++].name = r->object;
	}
	return 0;
}

void patch_check_end(struct patch_check *c)
{
	for (size_t i = 0; i < c->nobjects; i++)
		patch_object_close(&c->objects[i]);
	free(c->objects);
	free(c->found);
	*c = (struct patch_check){ .file = c->file };
}

/* ---- files ---- */

static bool is_executable(const char *path)
{
	struct elf_section s;
	struct elf e;
	bool is;

	if (elf_open(&e, path, NULL))
		return false;
	is = e.type == ET_EXEC || elf_find_section(&e, ".interp", &s);
	elf_close(&e);
	return is;
}

int patch_check_use_file(struct patch_check *c, const char *path)
{
	struct patch_object *o = NULL;

	for (size_t i = 0; i < c->nobjects && !o; i++)
		if (c->objects[i].name && !c->objects[i].path[0] &&
		    !strcmp(base_name(c->objects[i].name), base_name(path)))
			o = &c->objects[i];
	/* libc.so.6 has an interpreter as well. */
	if (!o && is_executable(path))
		o = object_of(c, NULL);
	if (!o || o->path[0])
		return -1;
	snprintf(o->path, sizeof(o->path), "%s", path);
	return 0;
}

/* ---- a process ---- */

static struct target_object *find_loaded(struct target *t, const char *name)
{
	if (!name)
		return t->nobjects ? t->objects : NULL;
	for (size_t i = 1; i < t->nobjects; i++)
		if (!strcmp(strchr(name, '/') ? t->objects[i].name : base_name(t->objects[i].name), name))
			return &t->objects[i];
	return NULL;
}

static int use_loaded(struct patch_check *c, struct target *t, struct patch_object *o,
		      const struct target_object *obj)
{
	char memory[41], file[41], link[PATH_MAX + 1] = "";
	struct elf e;
	ssize_t n;
	int err;

	if (o->name)
		snprintf(o->path, sizeof(o->path), "/proc/%d/%s%s", t->pid, *obj->name == '/' ? "root" : "cwd/",
			 obj->name);
	else
		snprintf(o->path, sizeof(o->path), "/proc/%d/exe", t->pid);
	o->base = obj->base;
	target_build_id(t, obj, memory);
	err = elf_open(&e, o->path, NULL);
	if (err)
		return cmd_error("%s: the file of %s cannot be read: %s; was it removed since it was loaded?",
				 c->where, o->name ? obj->name : "its program", strerror(-err));
	elf_build_id(&e, file);
	elf_close(&e);
	if (strcmp(memory, file))
		return cmd_error("%s: %s has another file now than the one it was loaded from (build-id %s, not %s); install that one again, or restart it",
				 c->where, o->name ? obj->name : "its program", file, memory);
	n = o->name ? 0 : readlink(o->path, link, PATH_MAX);
	link[n > 0 ? n : 0] = 0;
	if (n > 10 && !strcmp(link + n - 10, " (deleted)"))
		return cmd_error("%s: its program's file was removed or replaced since it was started (%s), and is needed for patching; restart it",
				 c->where, link);
	return 0;
}

int patch_check_use_process(struct patch_check *c, struct target *t)
{
	for (size_t i = 0; i < c->nobjects; i++) {
		struct patch_object *o = &c->objects[i];
		const struct target_object *obj = find_loaded(t, o->name);

		if (obj && use_loaded(c, t, o, obj))
			return -1;
	}
	return 0;
}

/* ---- looking ---- */

static void problem(struct patch_check *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void problem(struct patch_check *c, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	cmd_error("%s: %s%s%s", c->file->path, text, c->where ? "; " : "", c->where ? c->where : "");
	c->problems++;
}

static bool check_build(struct patch_check *c, struct patch_object *o)
{
	const char *wanted = patch_file_build_id(c->file, o->name);

	if (!wanted && !c->any_build)
		problem(c, "it does not say which build of %s it is for; 'ftrace patch stamp %s FILE' does, for that of FILE, or --any-build",
			patch_object_name(o->name), c->file->path);
	else if (wanted && strcmp(wanted, o->build_id) && !c->any_build)
		problem(c, "it is for another build of %s: build-id %s, and this has %s",
			patch_object_name(o->name), wanted, o->build_id[0] ? o->build_id : "none");
	else
		return true;
	return false;
}

static void describe(const struct patch_record *r, char *text, size_t size)
{
	char pos[32] = "";

	if (r->pos)
		snprintf(pos, sizeof(pos), ", the %lu.", r->pos);
	snprintf(text, size, "%s%s%s%s%s%s", r->name, pos, r->file ? " of " : "", r->file ? r->file : "",
		 r->object ? " in " : "", r->object ? r->object : "");
}

static void check_record(struct patch_check *c, struct patch_object *o, size_t i)
{
	const struct patch_record *r = &c->file->records[i];
	const struct patch_name name = { r->name, r->file, r->pos };
	bool function = r->kind == KLP_RECORD_FUNC;
	char text[512];
	const char *why = patch_object_find(o, &name, function, &c->found[i]);

	if (!why && function)
		why = patch_object_refuses(o, c->found[i].vaddr);
	if (!why)
		return;
	describe(r, text, sizeof(text));
	problem(c, function ? "%s cannot be replaced: %s" : "%s cannot be referred to: %s", text, why);
}

/* An object that is not there: its functions are replaced when it comes; what is referred to must be there now. */
static void check_absent(struct patch_check *c, const struct patch_object *o)
{
	if (!c->where)
		return;
	if (!o->name) {
		problem(c, "the program cannot be found");
		return;
	}
	for (size_t i = 0; i < c->file->nrecords; i++)
		if (c->file->records[i].kind == KLP_RECORD_SYMBOL &&
		    patch_same_object(c->file->records[i].object, o->name))
			problem(c, "%s cannot be referred to: %s is not loaded", c->file->records[i].name, o->name);
	if (!c->problems)
		cmd_error("%s: %s is not loaded in %s; it is patched when it is, if it was compiled for tracing",
			  c->file->path, o->name, c->where);
}

int patch_check(struct patch_check *c)
{
	c->problems = 0;
	for (size_t k = 0; k < c->nobjects; k++) {
		struct patch_object *o = &c->objects[k];

		if (!o->path[0]) {
			check_absent(c, o);
			continue;
		}
		if (!o->open && patch_object_open(o)) {
			c->problems++;
			continue;
		}
		if (o->e.wide != c->file->wide) {
			problem(c, "it is a %s-bit patch, and %s is a %s-bit one; build it with 'cc %s'",
				c->file->wide ? "64" : "32", o->name ? o->name : "the program",
				o->e.wide ? "64" : "32", o->e.wide ? "-m64" : "-m32");
			continue;
		}
		if (!check_build(c, o))
			continue;
		for (size_t i = 0; i < c->file->nrecords; i++)
			if ((c->file->records[i].kind == KLP_RECORD_FUNC ||
			     c->file->records[i].kind == KLP_RECORD_SYMBOL) &&
			    patch_same_object(c->file->records[i].object, o->name))
				check_record(c, o, i);
	}
	return c->problems ? -1 : 0;
}
