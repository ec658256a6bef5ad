/* SPDX-License-Identifier: MIT */
/*
 * -F and -N by the names that people write: ns::Class::*, operator new, Vec<T>::push. A traced process has no
 * demangler, so such patterns become symbol names here, from the files that are known before the
 * start: the program's, those of the libraries that -L names, and, if a pattern is found in none of
 * these, of all it needs. The pattern itself goes along: it may match symbol names elsewhere.
 */
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/libraries.h"
#include "cmd/record.h"
#include "engine/find.h"
#include "engine/symbols.h"
#include "reader/demangle.h"
#include "reader/filter.h"

/* Each is compared with each function by each traced process. */
#define MAX_NAMES	4096u

/* A function whose symbol is mangled, or any other: only its name then. */
struct function {
	char *name, *shown, *full;
};

struct functions {
	struct function *list;
	size_t n, capacity;
	const struct record_choice *choices;	/* for -L */
	bool all_libraries;
	bool no_memory;
};

static void add_function(struct functions *fs, const struct func_symbol *sym)
{
	struct function f = { strndup(sym->name, symbols_name_length(sym->name)), NULL, NULL };

	if (fs->n == fs->capacity) {
		size_t capacity = fs->capacity ? fs->capacity * 2 : 1024;
		struct function *list = reallocarray(fs->list, capacity, sizeof(*list));

		if (!list) {
			fs->no_memory = true;
			free(f.name);
			return;
		}
		fs->list = list;
		fs->capacity = capacity;
	}
	if (f.name && f.name[0] == '_' && (f.name[1] == 'Z' || f.name[1] == 'R')) {
		f.shown = trace_demangle(f.name, 0);
		f.full = trace_demangle_full(f.name);
	}
	fs->no_memory |= !f.name;
	fs->list[fs->n++] = f;
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

static bool is_chosen(const struct functions *fs, const char *file)
{
	const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;

	for (const struct record_choice *c = fs->choices; c; c = c->next) {
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

	if (fs->all_libraries != is_chosen(fs, file))
		add_file(file, fs);
}

/* ---- patterns ---- */

struct pattern {
	char *text;		/* without '!' */
	bool away;
	bool parameters;	/* it is for names with their parameters, too */
	bool is_regex;
	regex_t regex;
};

/*
 * Length of the first of the patterns in @s: they are parted by spaces and commas, but not inside
 * brackets, nor behind "operator".
 */
static size_t pattern_length(const char *s)
{
	bool regex = *s == '/';
	int depth = 0;
	size_t i;

	for (i = 0; s[i]; i++) {
		bool after_operator = i >= 8 && !strncmp(s + i - 8, "operator", 8);

		if (regex ? isspace((unsigned char)s[i]) || s[i] == ',' :
		    strchr(" ,\t", s[i]) && !depth && !after_operator)
			break;
		if (after_operator && strchr("<>(", s[i]))
			continue;
		depth += s[i] == '<' || s[i] == '(';
		depth -= (s[i] == '>' || s[i] == ')') && depth > 0;
	}
	return i;
}

static int pattern_init(struct pattern *p, const char *s, size_t len)
{
	char *text;

	memset(p, 0, sizeof(*p));
	p->away = *s == '!';
	s += p->away;
	len -= p->away;
	p->text = strndup(s, len);
	if (!p->text)
		return -ENOMEM;
	p->parameters = trace_filter_has_parameters(p->text);
	if (len < 3 || s[0] != '/' || s[len - 1] != '/')
		return 0;
	text = strndup(s + 1, len - 2);
	p->is_regex = text && !regcomp(&p->regex, text, REG_EXTENDED | REG_NOSUB);
	free(text);
	return 0;
}

static void pattern_free(struct pattern *p)
{
	free(p->text);
	if (p->is_regex)
		regfree(&p->regex);
}

static bool matches(const struct pattern *p, const char *name)
{
	if (!name)
		return false;
	return p->is_regex ? !regexec(&p->regex, name, 0, NULL, 0) : !fnmatch(p->text, name, 0);
}

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
		const struct function *f = &fs->list[i];

		if (f->name && matches(p, f->name)) {
			matched++;
		} else if (matches(p, f->shown) || (p->parameters && matches(p, f->full))) {
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
	struct functions fs = { .choices = opt->choices };
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
	for (size_t i = 0; i < fs.n; i++) {
		free(fs.list[i].name);
		free(fs.list[i].shown);
		free(fs.list[i].full);
	}
	free(fs.list);
	return err;
}
