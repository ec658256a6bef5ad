/* SPDX-License-Identifier: MIT */
/* Symbols and functions of an object that is to be patched; see patch-object.h. */
#include "cmd/patch-object.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch-elf.h"
#include "cmd/cmd.h"
#include "planner/planner.h"

#ifndef STT_GNU_IFUNC
#define STT_GNU_IFUNC 10
#endif

int patch_object_open(struct patch_object *o)
{
	char real[ELF_PATH_MAX];
	int err;

	err = elf_open(&o->e, o->path, real);
	if (err)
		return cmd_error("%s: %s", o->path, err == -ENOEXEC ? "not an ELF file" :
				 err == -EIO ? "cut short or damaged" : strerror(-err));
	elf_build_id(&o->e, o->build_id);
	err = symbols_load(&o->symbols, &o->e, real, o->build_id);
	if (err) {
		elf_close(&o->e);
		return cmd_error("%s: its symbols cannot be read: %s", o->path, strerror(-err));
	}
	o->open = true;
	return 0;
}

void patch_object_close(struct patch_object *o)
{
	if (o->looked)
		ftrace_find_done(&o->find);
	if (o->plan)
		planner_release(o->plan, o->plan_size);
	if (o->open) {
		symbols_unload(&o->symbols);
		elf_close(&o->e);
	}
	o->open = o->looked = false;
	o->plan = NULL;
}

/* ---- names ---- */

#define MAX_MATCHES	1024u

struct match {
	u64 addr;
	u8 type;
};

struct search {
	const struct patch_name *name;
	bool function, any_file;
	struct match match[MAX_MATCHES];
	u32 n;
};

static bool is_name(const char *symbol, const char *name)
{
	size_t len = symbols_name_length(symbol);

	return len == strlen(name) && !strncmp(symbol, name, len);
}

static bool is_wanted(const struct search *s, const struct elf_symbol *sym)
{
	if (sym->section == SHN_UNDEF || !is_name(sym->name, s->name->name))
		return false;
	if (sym->type == STT_FUNC || sym->type == STT_GNU_IFUNC)
		return true;
	return !s->function && (sym->type == STT_OBJECT || sym->type == STT_NOTYPE ||
				sym->type == STT_COMMON || sym->type == STT_TLS);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Local symbols stand behind the name of the source file they are from; global ones are last, from any. */
static void search_table(struct search *s, const struct elf *e, u32 type)
{
	const char *file = "";
	struct elf_section sec;
	struct elf_symtab t;
	struct elf_symbol sym;

	if (!elf_find_type(e, type, &sec))
		return;
	elf_symtab(e, &sec, &t);
	for (u32 i = 0; i < t.count; i++) {
		u32 k = 0;

		elf_symbol(e, &t, i, &sym);
		if (sym.type == STT_FILE)
			file = sym.name;
		if (!is_wanted(s, &sym))
			continue;
		if (s->name->file && (sym.bind != STB_LOCAL ||
				      strcmp(base_name(file), base_name(s->name->file))))
			continue;
		while (k < s->n && s->match[k].addr != sym.value)
			k++;
		if (k == s->n && s->n < MAX_MATCHES)
			s->match[s->n++] = (struct match){ sym.value, sym.type };
	}
}

static int by_address(const void *a, const void *b)
{
	u64 x = ((const struct match *)a)->addr, y = ((const struct match *)b)->addr;

	return x < y ? -1 : x > y;
}

/* As the library will count it: among all functions of that name. */
static unsigned long position(struct patch_object *o, const char *name, u64 addr)
{
	unsigned long pos = 0;
	u64 last = 0;

	for (u32 i = 0; i < o->symbols.n && o->symbols.sym[i].addr <= addr; i++) {
		const struct func_symbol *sym = &o->symbols.sym[i];

		if (!is_name(sym->name, name) || (pos && sym->addr == last))
			continue;
		last = sym->addr;
		pos++;
	}
	return pos;
}

static const char *refuse_type(u8 type, bool function)
{
	if (type == STT_TLS)
		return "it is thread-local; only others can be had";
	if (type == STT_GNU_IFUNC)
		return function ? "it only chooses a function (IFUNC); replace the one that it chooses" :
				  "which function it is is chosen at load time (IFUNC); declare the one that is meant";
	return NULL;
}

const char *patch_object_find(struct patch_object *o, const struct patch_name *name, bool function,
			      struct patch_found *found)
{
	static char why[512];
	struct search s = { .name = name, .function = function };
	const struct match *m;
	const char *refused;

	search_table(&s, &o->e, SHT_SYMTAB);
	if (!s.n && o->symbols.debug.data)
		search_table(&s, &o->symbols.debug, SHT_SYMTAB);
	if (!s.n && !name->file)
		search_table(&s, &o->e, SHT_DYNSYM);
	qsort(s.match, s.n, sizeof(s.match[0]), by_address);
	if (!s.n) {
		snprintf(why, sizeof(why), "there is no such %s%s%s%s", function ? "function" : "symbol",
			 name->file ? " of file " : "", name->file ? name->file : "",
			 o->symbols.complete ? "" :
			 "; the object is stripped: install its debug symbols, or the compiler has inlined it everywhere");
		return why;
	}
	if (name->pos > s.n || (!name->pos && s.n > 1)) {
		snprintf(why, sizeof(why), "there %s %u of that name%s%s; say which by its position, or by its source file",
			 s.n == 1 ? "is" : "are", s.n, name->file ? " in " : "", name->file ? name->file : "");
		return why;
	}
	m = &s.match[name->pos ? name->pos - 1 : 0];
	refused = refuse_type(m->type, function);
	if (refused)
		return refused;
	found->vaddr = m->addr;
	found->pos = function ? position(o, name->name, m->addr) : 0;
	return NULL;
}

/* ---- can it be replaced? ---- */

/* Tables of places for tracers, which a finder of the other width does not read. */
static bool has_tables(const struct elf *e)
{
	struct elf_section s;

	return elf_find_section(e, "__patchable_function_entries", &s) || elf_find_section(e, "__mcount_loc", &s);
}

static void look(struct patch_object *o)
{
	const void *plan = NULL;
	const char *why = "";
	int err;

	if (o->e.wide != ARCH_ELF_WIDE) {
		memset(&o->find, 0, sizeof(o->find));
		o->narrow_compiled = has_tables(&o->e);
		err = 0;
	} else {
		err = ftrace_find(o->path, &o->find);
	}
	o->looked = true;
	if (err) {
		memset(&o->find, 0, sizeof(o->find));
		o->looked = false;
		o->no_plan = "its file cannot be read";
		return;
	}
	if (o->find.nfound || o->narrow_compiled)
		return;
	err = planner_get(o->path, &plan, &o->plan_size, &why);
	if (err)
		o->no_plan = why;
	else
		o->plan = plan;
}

static const char *refused_found(const struct patch_object *o, u64 vaddr)
{
	for (u32 i = 0; i < o->find.nfound; i++) {
		const struct ftrace_found *f = &o->find.found[i];

		if (f->entry != vaddr)
			continue;
		if (f->form == FTRACE_FORM_MCOUNT || f->form == FTRACE_FORM_MCOUNT_GOT)
			return "it was compiled with -pg without -mfentry, where the call of mcount stands too late";
		return f->form == FTRACE_FORM_NONE ? f->reason : NULL;
	}
	return "it was not compiled for tracing, while others of its object were";
}

static const char *refused_planned(const struct patch_object *o, u64 vaddr)
{
	const struct ftrace_planned *f = (const void *)((const char *)o->plan + o->plan->funcs);
	const char *strings = (const char *)o->plan + o->plan->strings;

	for (u32 i = 0; i < o->plan->nfuncs; i++)
		if (f[i].vaddr == vaddr)
			return f[i].form == FTRACE_FORM_NONE ? strings + f[i].reason : NULL;
	return "it is no function whose first instructions could be moved";
}

const char *patch_object_refuses(struct patch_object *o, u64 vaddr)
{
	if (!o->looked && !o->no_plan)
		look(o);
	if (o->no_plan)
		return o->no_plan;
	if (o->narrow_compiled)
		return NULL;
	return o->plan ? refused_planned(o, vaddr) : refused_found(o, vaddr);
}
