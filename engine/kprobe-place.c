/* SPDX-License-Identifier: MIT */
/* From what a probe says of its place to an address; see kprobe.h. */
#include <link.h>
#include <sys/syscall.h>

#include "arch.h"
#include "detour.h"
#include "kprobe.h"
#include "loader.h"
#include "object.h"
#include "scratch.h"
#include "symbols.h"

/* "object:name", or "name" in any object. */
struct wanted {
	const char *name;
	const char *object;		/* NULL: any */
	size_t object_len;
};

static struct wanted parse(const char *symbol)
{
	const char *colon = ft_strchr(symbol, ':');
	struct wanted w = { symbol, NULL, 0 };

	if (colon && colon != symbol && colon[1] != ':') {
		w.name = colon + 1;
		w.object = symbol;
		w.object_len = (size_t)(colon - symbol);
	}
	return w;
}

static bool is_object(const struct wanted *w, const char *path)
{
	const char *name;

	if (!w->object)
		return true;
	name = ft_strchr(w->object, '/') < w->object + w->object_len &&
	       ft_strchr(w->object, '/') ? path : ft_base_name(path);
	return ft_strlen(name) == w->object_len && !ft_strncmp(name, w->object, w->object_len);
}

/* What was found: several functions of one name are told apart. */
struct found {
	unsigned long addr, size;
	u32 count, globals;
	unsigned long global, global_size;
};

static int choose(const struct found *f, const struct wanted *w, const char *object,
		  struct probe_place *place, const char *what)
{
	if (f->count > 1 && f->globals != 1)
		return ft_log(-EADDRNOTAVAIL, "%s: %s has %u functions %s: say which by address",
			      what, object, f->count, w->name);
	place->func = f->globals == 1 ? f->global : f->addr;
	place->size = f->globals == 1 ? f->global_size : f->size;
	return 0;
}

/* Among functions that have a site. -ENOENT: none, not logged. */
static int find_site(const struct wanted *w, struct probe_place *place, const char *what)
{
	int err = -ENOENT;
	u32 id;

	ft_lock(ftrace_lock);
	for (struct ftrace_object *obj = ftrace_objects(); obj && err == -ENOENT; obj = obj->next) {
		struct found f = { 0 };

		if (obj->gone || !is_object(w, obj->path))
			continue;
		id = obj->first_site;
		for (u32 i = 0; i < obj->find.nfound; i++) {
			const struct ftrace_found *found = &obj->find.found[i];

			if (found->form == FTRACE_FORM_NONE)
				continue;
			/* Its name may be another by now: that of an IFUNC that chose it. */
			if (!ft_strcmp(ftrace_site(id++)->name, w->name)) {
				f.addr = obj->base + (unsigned long)found->entry;
				f.size = (unsigned long)found->size;
				f.count++;
			}
		}
		if (f.count)
			err = choose(&f, w, obj->name, place, what);
	}
	ft_unlock(ftrace_lock);
	return err;
}

FTRACE_INTERNAL bool probe_loaded_object(u32 i, char *path, size_t size, unsigned long *base)
{
	const struct link_map *map;
	bool first = !i;
	long n = 0;

	ft_lock(ftrace_lock);
	map = ftrace_loaded_objects();
	*base = map ? 0 : ftrace_static_base();
	if (!map && i) {
		ft_unlock(ftrace_lock);
		return false;
	}
	for (; map && i; i--)
		map = map->l_next;
	if (map)
		*base = map->l_addr;
	if (map && !first)
		n = ft_snprintf(path, size, "%s", map->l_name ? map->l_name : "");
	ft_unlock(ftrace_lock);
	if (first)
		n = arch_syscall(SYS_readlink, (long)"/proc/self/exe", (long)path, (long)size - 1, 0,
				 0, 0);
	else if (!map)
		return false;
	path[n > 0 && n < (long)size ? n : 0] = 0;
	return true;
}

static s32 loading;		/* the thread that ftrace_probes_unrelocated() is about, 0: none */

FTRACE_INTERNAL void ftrace_probes_unrelocated(bool on)
{
	WRITE_ONCE(loading, on ? ft_gettid() : 0);
}

static bool probe_is_loading(void)
{
	return unlikely(READ_ONCE(loading)) && READ_ONCE(loading) == ft_gettid();
}

static void look_in(const struct symbols *s, const struct wanted *w, unsigned long base,
		    struct found *f)
{
	size_t len = ft_strlen(w->name);
	unsigned long first_addr = 0;

	for (u32 i = 0; i < s->n; i++) {
		const struct func_symbol *sym = &s->sym[i];
		unsigned long addr = base + (unsigned long)sym->addr;
		bool global = sym->rank % SYMBOL_RANK_IFUNC < SYMBOL_RANK_LOCAL;

		if (ft_strncmp(sym->name, w->name, len) || symbols_name_length(sym->name) != len)
			continue;
		if (sym->rank >= SYMBOL_RANK_IFUNC && probe_is_loading())
			continue;
		/* Its address is that of the function that chooses. */
		if (sym->rank >= SYMBOL_RANK_IFUNC)
			addr = arch_resolve(addr);
		if (f->count && first_addr == addr)
			continue;	/* two versions of one name */
		first_addr = addr;
		f->addr = addr;
		f->size = sym->rank >= SYMBOL_RANK_IFUNC ? 0 : (unsigned long)sym->size;
		f->count++;
		if (global) {
			f->globals++;
			f->global = f->addr;
			f->global_size = f->size;
		}
	}
}

/* Among all symbols of all objects. Files are read without a lock: that may load a library. */
static int find_symbol(const struct wanted *w, struct probe_place *place, const char *what)
{
	char *path = scratch_alloc(2 * ELF_PATH_MAX), *real = path + ELF_PATH_MAX;
	unsigned long base;
	int err = -ENOENT;

	if (!path)
		return ft_log(-ENOMEM, "%s: no memory", what);
	for (u32 i = 0; err == -ENOENT && probe_loaded_object(i, path, ELF_PATH_MAX, &base); i++) {
		struct symbols symbols;
		struct found f = { 0 };
		char build_id[41];
		struct elf elf;

		if (!path[0] || !is_object(w, path) || elf_open(&elf, path, real))
			continue;
		elf_build_id(&elf, build_id);
		ft_memset(&symbols, 0, sizeof(symbols));
		if (!symbols_load(&symbols, &elf, real, build_id)) {
			look_in(&symbols, w, base, &f);
			if (f.count)
				err = choose(&f, w, ft_base_name(path), place, what);
			symbols_unload(&symbols);
		}
		elf_close(&elf);
	}
	scratch_free(path, 2 * ELF_PATH_MAX);
	if (err == -ENOENT && w->object)
		ft_log(err, "%s: no loaded object %s has a function %s", what, w->object, w->name);
	else if (err == -ENOENT)
		ft_log(err, "%s: no loaded object has a function %s", what, w->name);
	return err;
}

int probe_place_find(struct probe_place *place, const struct kprobe *p, const char *what)
{
	struct wanted w;
	int err;

	ft_memset(place, 0, sizeof(*place));
	if (p->addr) {
		place->addr = (unsigned long)p->addr + p->offset;
		return 0;
	}
	w = parse(p->symbol_name);
	err = find_site(&w, place, what);
	if (err == -ENOENT)
		err = find_symbol(&w, place, what);
	if (err)
		return err;
	if (place->size && p->offset >= place->size)
		return ft_log(-ERANGE, "%s: %s has %lu bytes: offset %u is beyond its end", what,
			      p->symbol_name, place->size, p->offset);
	place->addr = place->func + p->offset;
	return 0;
}

/* The site whose bytes @addr is among. */
static struct dyn_ftrace *site_over(unsigned long addr)
{
	for (unsigned long at = addr - FTRACE_MOVED_MAX; at < addr; at++) {
		struct dyn_ftrace *site = ftrace_site_at(at);

		if (site && addr - site->ip < site->len)
			return site;
	}
	return NULL;
}

#ifdef ARCH_HAS_DETOURS
/* Does the loader change text of the object that @addr is in? It is the one that begins nearest below. */
static bool text_is_relocated(unsigned long addr)
{
	const struct link_map *map = ftrace_loaded_objects(), *in = NULL;
	const ElfW(Dyn) *d;

	for (; map; map = map->l_next)
		if (map->l_addr <= addr && (!in || map->l_addr > in->l_addr))
			in = map;
	for (d = in ? in->l_ld : NULL; d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && d->d_un.d_val & DF_TEXTREL))
			return true;
	return false;
}
#endif

int probe_place_check(struct probe_place *place, const struct kprobe *p, const char *what)
{
	struct dyn_ftrace *site = ftrace_site_at(place->addr);

	if (site && site->flags & FTRACE_SITE_ARMED) {
		if (p->reserved[KPROBE_IS_RETURN] &&
		    (site->flags & FTRACE_SITE_ENTRY_ONLY || ftrace_returns_refused))
			return ft_log(-EOPNOTSUPP, "%s: the return of %s cannot be hooked: it returns "
				      "twice, or looks at its return address", what, site->name);
		place->site = site;
		place->addr = site->ip;
		return 0;
	}
	if (site && p->reserved[KPROBE_IS_RETURN])
		return ft_log(-EBUSY, "%s: the return of %s cannot be hooked: %s", what, site->name,
			      site->obj->refused_why ? site->obj->refused_why :
			      "it cannot be traced now");
	if (!site || site->ip != place->addr)
		site = site_over(place->addr);
	if (site && site->flags & FTRACE_SITE_ON && site->form == FTRACE_FORM_MOVED)
		return ft_log(-EBUSY, "%s: 0x%lx is among the first bytes of %s, which the tracer has moved "
			      "away", what, place->addr, site->name);
	if (p->reserved[KPROBE_IS_RETURN])
		return ft_log(-EINVAL, "%s: 0x%lx is not the entry of a function that can be traced",
			      what, place->addr);
#ifdef ARCH_HAS_DETOURS
	if (probe_is_loading() && text_is_relocated(place->addr))
		return ft_log(-EOPNOTSUPP, "%s: 0x%lx is in an object whose text is relocated (DT_TEXTREL), and "
			      "has just been loaded", what, place->addr);
	return detour_look(place, what);
#else
	return ft_log(-EOPNOTSUPP, "%s: 0x%lx is not the entry of a function that can be traced, "
		      "where alone probes can be on this architecture", what, place->addr);
#endif
}
