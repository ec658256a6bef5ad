/* SPDX-License-Identifier: MIT */
/*
 * -F and -N by the names that people write: ns::Class::*, operator new, Vec<T>::push. A traced process has no
 * demangler, so such patterns become symbol names here, from the files that are known before the
 * start: the program's, those of the libraries that -L names, and, if a pattern is found in none of
 * these, of all it needs. The pattern itself goes along: it may match symbol names elsewhere.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/libraries.h"
#include "cmd/patterns.h"
#include "cmd/record.h"
#include "engine/find.h"
#include "engine/symbols.h"

/* Each is compared with each function by each traced process. */
#define MAX_NAMES	4096u

struct functions {
	struct pattern_names *list;
	size_t n, capacity;
	const struct record_options *opt;	/* for -L */
	bool all_libraries;
	bool no_memory;
};

static void add_function(struct functions *fs, const struct func_symbol *sym)
{
	if (fs->n == fs->capacity) {
		size_t capacity = fs->capacity ? fs->capacity * 2 : 1024;
		struct pattern_names *list = reallocarray(fs->list, capacity, sizeof(*list));

		if (!list) {
			fs->no_memory = true;
			return;
		}
		fs->list = list;
		fs->capacity = capacity;
	}
	if (pattern_names_init(&fs->list[fs->n++], sym->name, symbols_name_length(sym->name)))
		fs->no_memory = true;
}

/* The names that functions of @file are traced by: one an address. */
static void add_file(const char *file, struct functions *fs)
{
	char real[ELF_PATH_MAX], build_id[41];
	struct symbols symbols = { 0 };
	struct elf e;

	if (elf_open(&e, file, real))
		return;
	elf_build_id(&e, build_id);
	if (symbols_load(&symbols, &e, real, build_id) == 0) {
		for (u32 i = 0; i < symbols.n; i++)
			if (!i || symbols.sym[i].addr != symbols.sym[i - 1].addr)
				add_function(fs, symbols_best(&symbols, symbols.sym[i].addr));
		symbols_unload(&symbols);
	}
	elf_close(&e);
}

bool record_library_chosen(const struct record_options *opt, const char *file)
{
	const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;

	for (const struct record_choice *c = opt->choices; c; c = c->next) {
		const char *p = c->value, *end;

		if (strcmp(c->file, "set_object_filter"))
			continue;
		for (; *(p += strspn(p, " ,\t")); p = end) {
			end = p + strcspn(p, " ,\t");
			if (ftrace_glob(p, (size_t)(end - p), base) ||
			    ftrace_glob(p, (size_t)(end - p), file))
				return true;
		}
	}
	return false;
}

static void add_library(const char *file, void *data)
{
	struct functions *fs = data;

	if (fs->all_libraries != record_library_chosen(fs->opt, file))
		add_file(file, fs);
}

/* ---- patterns ---- */

/* Would no symbol be called so? */
static bool is_for_people(const struct pattern *p)
{
	return strstr(p->text, "::") || strpbrk(p->text, "<( ");
}

/* Names that @p matches only as people write them, each behind a space; how many match in any way. */
static size_t resolve(const struct functions *fs, const struct pattern *p, FILE *out, size_t *n)
{
	size_t matched = 0;

	for (size_t i = 0; i < fs->n; i++) {
		const struct pattern_names *f = &fs->list[i];

		if (pattern_matches(p, f->name)) {
			matched++;
		} else if (pattern_matches_any(p, f)) {
			fprintf(out, " %s%s", p->away ? "!" : "", f->name);
			matched++;
			++*n;
		}
	}
	return matched;
}

static int resolve_pattern(struct functions *fs, const char *program, const struct pattern *p,
			   FILE *out)
{
	size_t n = 0, matched = resolve(fs, p, out, &n);

	if (!matched && is_for_people(p) && !fs->all_libraries) {
		fs->all_libraries = true;
		cmd_for_each_library(program, add_library, fs);
		matched = resolve(fs, p, out, &n);
	}
	if (!matched && is_for_people(p))
		cmd_error("%s: no function of %s, nor of the libraries it needs, is called so; what is loaded later or executed is chosen by symbol names only ('ftrace list' shows them)",
			  p->text, program);
	if (n > MAX_NAMES)
		return cmd_error("%s: matches %zu functions by their demangled names, more than the %u that can be chosen so; choose fewer, or by a glob for their symbol names",
				 p->text, n, MAX_NAMES);
	return fs->no_memory ? cmd_error("no memory for the names of functions") : 0;
}

static int resolve_choice(struct functions *fs, const char *program, struct record_choice *c)
{
	char *text = NULL;
	size_t size, len;
	FILE *out = open_memstream(&text, &size);
	const char *s = c->value;
	int err = out ? 0 : cmd_error("%s: no memory", s);

	for (; !err && *(s += strspn(s, " ,\t")); s += len) {
		struct pattern p;

		len = pattern_length(s + (*s == '!')) + (*s == '!');
		err = pattern_init(&p, s, len) ? cmd_error("%s: no memory", s) : 0;
		if (!err) {
			/* Where patterns are parted by them, '?' stands for a space or comma. */
			fputc(' ', out);
			for (size_t i = 0; i < len; i++)
				fputc(strchr(" ,\t", s[i]) ? '?' : s[i], out);
			err = resolve_pattern(fs, program, &p, out);
		}
		pattern_free(&p);
	}
	if (out && fclose(out) && !err)
		err = cmd_error("%s: no memory", c->value);
	c->setting = text;
	return err;
}

int record_resolve_names(struct record_options *opt, const char *program)
{
	struct functions fs = { .opt = opt };
	bool any = false, libraries = false;
	int err = 0;

	for (struct record_choice *c = opt->choices; c; c = c->next) {
		bool object = !strcmp(c->file, "set_object_filter");

		libraries |= object;
		any |= !object;
	}
	if (!any)
		return 0;
	add_file(program, &fs);
	if (libraries)
		cmd_for_each_library(program, add_library, &fs);
	for (struct record_choice *c = opt->choices; c && !err; c = c->next)
		if (strcmp(c->file, "set_object_filter"))
			err = resolve_choice(&fs, program, c);
	for (size_t i = 0; i < fs.n; i++)
		pattern_names_free(&fs.list[i]);
	free(fs.list);
	return err;
}
