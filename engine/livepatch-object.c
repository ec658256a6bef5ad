/* SPDX-License-Identifier: MIT */
/* Live patching: from the names a patch gives to functions, and where their code is. */
#include <link.h>
#include <sys/syscall.h>
#include <time.h>

#include "arch.h"
#include "chunk.h"
#include "livepatch.h"
#include "loader.h"
#include "scratch.h"
#include "symbols.h"
#include "unwind-stack.h"

/* Its file may have been replaced since, or removed. */
static bool is_executable(const struct ftrace_object *obj)
{
	static const char deleted[] = " (deleted)";
	char exe[1024];
	long n = arch_syscall(SYS_readlink, (long)"/proc/self/exe", (long)exe, sizeof(exe) - 1, 0, 0,
			      0);

	if (n <= 0)
		return false;
	exe[n] = 0;
	if (!ft_strcmp(obj->path, exe))
		return true;
	n -= (long)sizeof(deleted) - 1;
	if (n <= 0 || ft_strcmp(exe + n, deleted))
		return false;
	exe[n] = 0;
	return !ft_strcmp(obj->path, exe);
}

struct ftrace_object *klp_find_object(const char *name)
{
	for (struct ftrace_object *obj = ftrace_objects(); obj; obj = obj->next) {
		if (obj->gone)
			continue;
		if (!name ? is_executable(obj) :
			    !ft_strcmp(ft_strchr(name, '/') ? obj->path : obj->name, name))
			return obj;
	}
	return NULL;
}

/* ---- the code of a function ---- */

/* A file with its symbols. */
struct file {
	struct elf elf;
	struct symbols symbols;
};

/* @wanted: the build id of what is loaded; NULL: not known. -ESTALE: the file is another one by now. */
static int open_file(struct file *f, const char *path, const char *wanted)
{
	char real[ELF_PATH_MAX], build_id[41];
	int err;

	ft_memset(f, 0, sizeof(*f));
	err = elf_open(&f->elf, path, real);
	if (err)
		return err;
	elf_build_id(&f->elf, build_id);
	err = wanted && ft_strcmp(build_id, wanted) ? -ESTALE :
	      symbols_load(&f->symbols, &f->elf, real, build_id);
	if (err)
		elf_close(&f->elf);
	return err;
}

static void close_file(struct file *f)
{
	symbols_unload(&f->symbols);
	elf_close(&f->elf);
}

static void add_range(struct klp_ranges *ranges, unsigned long lo, unsigned long hi)
{
	for (u32 i = 0; i < ranges->n; i++)
		if (lo >= ranges->r[i].lo && hi <= ranges->r[i].hi)
			return;
	if (hi <= lo)
		return;
	if (ranges->n < KLP_MAX_RANGES) {
		ranges->r[ranges->n].lo = lo;
		ranges->r[ranges->n++].hi = hi;
		return;
	}
	/* Rather too much: what lies between holds a transition up, too. */
	if (lo < ranges->r[ranges->n - 1].lo)
		ranges->r[ranges->n - 1].lo = lo;
	if (hi > ranges->r[ranges->n - 1].hi)
		ranges->r[ranges->n - 1].hi = hi;
}

static bool is_name(const struct func_symbol *sym, const char *name)
{
	size_t len = symbols_name_length(sym->name);

	return len == ft_strlen(name) && !ft_strncmp(sym->name, name, len);
}

/*
 * Parts of the function @name that the compiler has put where they do not disturb (NAME.cold), or has left of
 * it where its begin was inlined elsewhere (NAME.part.0; to be jumped to).
 */
static void add_parts(struct klp_ranges *ranges, const struct symbols *s, const char *name,
		      unsigned long base)
{
	size_t len = symbols_name_length(name);

	for (u32 i = 0; i < s->n; i++) {
		const struct func_symbol *sym = &s->sym[i];

		if (ft_strncmp(sym->name, name, len) ||
		    (!ft_starts_with(sym->name + len, ".cold") &&
		     !ft_starts_with(sym->name + len, ".part.")))
			continue;
		add_range(ranges, base + sym->addr, base + sym->addr + (sym->size ? sym->size : 1));
	}
}

/* The ranges of the function at @addr, in an object loaded at @base whose file is @f (NULL: not known). */
static void ranges_of(struct klp_ranges *ranges, unsigned long addr, unsigned long base,
		      struct file *f, const struct unwind_objects *objects)
{
	const struct func_symbol *sym = f ? symbols_best(&f->symbols, addr - base) : NULL;
	unsigned long lo, hi;

	ranges->n = 0;
	if (unwind_function(objects, unwind_begin_of(objects, addr), &lo, &hi))
		add_range(ranges, lo, hi);
	if (sym) {
		add_range(ranges, addr, addr + sym->size);
		add_parts(ranges, &f->symbols, sym->name, base);
	}
	/* Whoever is about to run its first instruction is there, at least. */
	if (!ranges->n)
		add_range(ranges, addr, addr + 1);
}

/* Path of the loaded object that has @addr, by its place in memory (@o). */
static const char *path_of(const struct unwind_object *o, char *exe, size_t size)
{
	long n;

	for (const struct link_map *map = ftrace_loaded_objects(); map; map = map->l_next)
		if (map->l_addr == o->base && map->l_name && map->l_name[0])
			return map->l_name;
	n = arch_syscall(SYS_readlink, (long)"/proc/self/exe", (long)exe, (long)size - 1, 0, 0, 0);
	if (n <= 0)
		return NULL;
	exe[n] = 0;
	return exe;
}

struct unwind_objects *klp_hold_objects(u32 ms, int *err)
{
	struct unwind_objects *objects = scratch_alloc(sizeof(*objects));
	struct timespec pause = { 0, 1000000 };

	*err = objects ? -EAGAIN : -ENOMEM;
	for (u32 i = 0; objects && i < ms; i++) {
		ft_lock(ftrace_lock);
		if (!unwind_objects_open(objects))
			return objects;
		ft_unlock(ftrace_lock);
		arch_syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
	}
	scratch_free(objects, sizeof(*objects));
	return NULL;
}

#define MAX_WAIT_MS	2000u

static void let_objects_go(struct unwind_objects *objects)
{
	ft_unlock(ftrace_lock);
	scratch_free(objects, sizeof(*objects));
}

/* The object that @addr is in: its path into @path, its base. */
static bool find_place(unsigned long addr, char *path, size_t size, unsigned long *base)
{
	int err;
	struct unwind_objects *objects = klp_hold_objects(MAX_WAIT_MS, &err);
	const struct unwind_object *in = objects ? unwind_object_of(objects, addr) : NULL;
	const char *found = in ? path_of(in, path, size) : NULL;

	if (found && found != path)
		ft_snprintf(path, size, "%s", found);
	if (in)
		*base = in->base;
	if (objects)
		let_objects_go(objects);
	return found;
}

/* Files are read without the lock: compressed symbols make the loader load what reads them. */
static int ranges_of_new(struct klp_kobj *o)
{
	char path[1024], opened[1024] = "";
	struct unwind_objects *objects;
	struct file f;
	int err = 0;

	for (u32 i = 0; i < o->nfuncs; i++) {
		unsigned long addr = (unsigned long)o->funcs[i].new_func, base = 0;
		bool placed;

		if (o->funcs[i].nop)
			continue;
		placed = find_place(addr, path, sizeof(path), &base);
		if (opened[0] && (!placed || ft_strcmp(path, opened))) {
			close_file(&f);
			opened[0] = 0;
		}
		if (placed && !opened[0] && !open_file(&f, path, NULL))
			ft_memcpy(opened, path, sizeof(opened));
		objects = klp_hold_objects(MAX_WAIT_MS, &err);
		if (!objects)
			break;
		err = 0;
		ranges_of(&o->funcs[i].new, addr, base, opened[0] ? &f : NULL, objects);
		let_objects_go(objects);
	}
	if (opened[0])
		close_file(&f);
	return err;
}

/* ---- names ---- */

static const char *why_not(const struct ftrace_object *obj, u64 vaddr)
{
	for (u32 i = 0; i < obj->find.nfound; i++)
		if (obj->find.found[i].entry == vaddr && obj->find.found[i].reason)
			return obj->find.found[i].reason;
	return obj->refused_why ? obj->refused_why : "it was not compiled for tracing";
}

/* Address of the function in the file. */
static int find_symbol(const struct klp_kfunc *func, struct symbols *s, const char *object,
		       const char *patch, u64 *vaddr)
{
	unsigned long pos = 0;
	bool first = true;
	u64 last = 0;

	/* By address; aliases of one function are one. */
	for (u32 i = 0; i < s->n; i++) {
		if (!is_name(&s->sym[i], func->name) || (!first && s->sym[i].addr == last))
			continue;
		first = false;
		last = s->sym[i].addr;
		pos++;
		if (pos == func->sympos || (!func->sympos && pos == 1))
			*vaddr = last;
	}
	if (!func->sympos && pos > 1)
		return ft_log(-EINVAL, "patch %s: %s has %lu functions %s: say which (old_sympos)",
			      patch, object, pos, func->name);
	if (!pos || func->sympos > pos)
		return ft_log(-ENOENT, "patch %s: %s has no function %s%s", patch, object, func->name,
			      pos ? " of that number" : "");
	return 0;
}

static int resolve_one(struct klp_kfunc *func, struct ftrace_object *obj, struct file *f,
		       const struct unwind_objects *objects, const char *patch)
{
	struct dyn_ftrace *site;
	u64 vaddr = 0;
	int err = find_symbol(func, &f->symbols, obj->name, patch, &vaddr);

	if (err)
		return err;
	site = ftrace_site_at(obj->base + (unsigned long)vaddr);
	if (!site || !(site->flags & FTRACE_SITE_ARMED))
		return ft_log(-ENOENT, "patch %s: %s of %s cannot be replaced: %s", patch, func->name,
			      obj->name, why_not(obj, vaddr));
	func->site = site;
	ranges_of(&func->old, obj->base + (unsigned long)vaddr, obj->base, f, objects);
	if (site->form == FTRACE_FORM_MOVED)
		add_range(&func->old, ftrace_copy(site->id),
			  ftrace_copy(site->id) + FTRACE_COPY_SIZE);
	return 0;
}

int klp_resolve(struct klp_kobj *o, const char *patch)
{
	struct unwind_objects *objects;
	struct file f;
	int err;

	if (o->build_id && ft_strcmp(o->build_id, o->obj->find.build_id))
		return ft_log(-EINVAL, "patch %s: %s is another build than the patch is for: %s, not "
			      "%s", patch, o->obj->name, o->obj->find.build_id, o->build_id);
	err = ranges_of_new(o);
	if (err)
		return ft_log(err, "patch %s: %s", patch,
			      err == -ENOMEM ? "no memory" : "the loader does not come to rest");
	err = open_file(&f, o->name ? o->obj->path : "/proc/self/exe", o->obj->find.build_id);
	if (err == -ESTALE)
		return ft_log(err, "patch %s: %s is not the file any more that was loaded from there: "
			      "its symbols would be wrong", patch, o->obj->path);
	if (err)
		return ft_log(err, "patch %s: %s cannot be read: error %d", patch, o->obj->path, -err);
	objects = klp_hold_objects(MAX_WAIT_MS, &err);
	if (objects)
		err = o->obj->gone ? -ENOENT : 0;
	for (u32 i = 0; i < o->nfuncs && !err; i++)
		err = resolve_one(&o->funcs[i], o->obj, &f, objects, patch);
	if (objects)
		let_objects_go(objects);
	close_file(&f);
	return err;
}
