/* SPDX-License-Identifier: MIT */
/* An object that was mapped gets sites: found in its file, with stubs near it, armed, and told of to all filters. */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/syscall.h>

#include "arch.h"
#include "chunk.h"
#include "elf-file.h"
#include "gdb.h"
#include "object.h"
#include "ops.h"
#include "perfmap.h"
#include "plan.h"
#include "site.h"
#include "stop.h"

static int (*object_plan)(const char *object, u64 dev, u64 ino, char *path, size_t size);

FTRACE_INTERNAL void ftrace_set_object_plan(int (*plan_path)(const char *object, u64 dev, u64 ino,
							     char *path, size_t size))
{
	object_plan = plan_path;
}

/* What the file at @path says of its place in memory, @base added. */
static int mapped_range(const char *path, unsigned long base, unsigned long *lo, unsigned long *hi)
{
	ElfW(Ehdr) ehdr;
	ElfW(Phdr) phdr;
	int fd = ft_open(path, O_RDONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return fd;
	*lo = ~0ul;
	*hi = 0;
	if (ft_pread(fd, &ehdr, sizeof(ehdr), 0) == sizeof(ehdr) &&
	    ehdr.e_phentsize == sizeof(phdr)) {
		for (unsigned int i = 0; i < ehdr.e_phnum; i++) {
			if (ft_pread(fd, &phdr, sizeof(phdr), ehdr.e_phoff + i * sizeof(phdr)) !=
			    sizeof(phdr))
				break;
			if (phdr.p_type != PT_LOAD)
				continue;
			if (base + phdr.p_vaddr < *lo)
				*lo = base + phdr.p_vaddr;
			if (base + phdr.p_vaddr + phdr.p_memsz > *hi)
				*hi = base + phdr.p_vaddr + phdr.p_memsz;
		}
	}
	ft_close(fd);
	return *hi > *lo ? 0 : -ENOEXEC;
}

static void fill_site(struct dyn_ftrace *site, u32 id, struct ftrace_object *obj,
		      const struct ftrace_found *found)
{
	site->ip = obj->base + found->vaddr;
	site->name = found->name;
	site->obj = obj;
	site->entry_delta = (u16)(found->vaddr - found->entry);
	site->form = found->form;
	site->len = found->len;
	/* Moved instructions go on elsewhere, wherever the site's copy is. */
	site->body_delta = found->form == FTRACE_FORM_MOVED ? 0 :
			   (u8)(arch_site_body(site) - site->ip);
	site->entry = ftrace_stub_pass;
	site->exit = ftrace_graph_return;
	site->flags = found->flags & FTRACE_FOUND_ENTRY_ONLY || obj->find.no_own_returns ?
		      FTRACE_SITE_ENTRY_ONLY : 0;
	smp_store_release(&site->id, id);
}

/* The dyn_ftrace of an id that is reserved, whether it is filled in or not. */
static struct dyn_ftrace *raw_site(u32 id)
{
	return (struct dyn_ftrace *)(ftrace_stub(id) + FTRACE_CHUNK_CODE);
}

static bool same_plan(const struct ftrace_plan *a, const struct ftrace_plan *b)
{
	return a->header && a->header->size == b->header->size &&
	       a->header->nfuncs == b->header->nfuncs &&
	       a->header->checksum == b->header->checksum;
}

/*
 * The same file comes back: its functions keep their ids and stubs. @nsites and the order are the
 * file's, so only addresses change.
 */
static struct ftrace_object *find_gone(u64 dev, u64 ino, const struct ftrace_finding *find,
				       const struct ftrace_plan *plan, unsigned long lo,
				       unsigned long hi)
{
	for (struct ftrace_object *obj = ftrace_objects(); obj; obj = obj->next) {
		unsigned long stubs, reach = arch_site_reach();

		if (!obj->gone || obj->dev != dev || obj->ino != ino ||
		    ft_strcmp(obj->find.build_id, find->build_id))
			continue;
		if (plan->header ? !same_plan(&obj->plan, plan) :
		    obj->plan.header || obj->find.nfound != find->nfound ||
		    obj->find.nrefused != find->nrefused)
			continue;
		stubs = ftrace_stub(obj->first_site);
		if ((stubs > lo ? stubs - lo : lo - stubs) + (hi - lo) < reach)
			return obj;
	}
	return NULL;
}

static char *copy_string(const char *s)
{
	char *p = ft_alloc(ft_strlen(s) + 1);

	return p ? ft_memcpy(p, s, ft_strlen(s) + 1) : NULL;
}

static struct ftrace_object *new_object(const char *path, unsigned long lo, unsigned long hi,
					const struct ftrace_finding *find,
					const struct ftrace_plan *plan, int *err)
{
	struct ftrace_object *obj = ft_alloc(sizeof(*obj));

	*err = -ENOMEM;
	if (!obj || !(obj->path = copy_string(path)))
		goto fail;
	ft_snprintf(obj->name, sizeof(obj->name), "%s", ft_base_name(path));
	obj->find = *find;
	if (plan->header) {
		*err = ftrace_plan_functions(plan, obj->name, &obj->find, &obj->planned);
		if (*err)
			goto fail;
		obj->plan = *plan;
	}
	obj->nsites = obj->find.nfound - obj->find.nrefused;
	*err = obj->nsites ? ftrace_chunk_reserve(lo, hi, obj->nsites, plan->header,
						  &obj->first_site) : 0;
	if (*err)
		goto fail;
	return obj;
fail:
	if (obj && obj->path)
		ft_free(obj->path, ft_strlen(obj->path) + 1);
	ft_free(obj, sizeof(*obj));
	return NULL;
}

/* The plan for an object without instrumentation, if there is one and it is this file's. */
static void open_plan(struct ftrace_plan *plan, const char *path, u64 dev, u64 ino,
		      const struct ftrace_finding *find)
{
	const struct ftrace_plan_header *h;
	struct statx st;
	char file[ELF_PATH_MAX];
	int err;

	plan->header = NULL;
	if (find->nfound || !object_plan ||
	    object_plan(path, dev, ino, file, sizeof(file)))
		return;
	err = ftrace_plan_open(plan, file);
	if (err) {
		ft_log(err, "%s: its plan cannot be used: %s: %s", path, file, err == -EINVAL ?
		       "damaged, or another version's" : "it cannot be opened");
		return;
	}
	h = plan->header;
	if (h->build_id[0] ? ft_strcmp(h->build_id, find->build_id) :
	    arch_syscall(SYS_statx, AT_FDCWD, (long)path, 0, STATX_BASIC_STATS, (long)&st, 0) ||
	    h->object_size != st.stx_size || h->object_mtime_ns !=
	    (u64)st.stx_mtime.tv_sec * 1000000000u + st.stx_mtime.tv_nsec) {
		ft_log(-ESTALE, "%s: its plan cannot be used: %s: it was made for another file",
		       path, file);
		ftrace_plan_close(plan);
	}
}

static bool is_reserved(const char *name)
{
	return name[0] == '_' && name[1] == '_';
}

/*
 * Functions that are chosen when the object is loaded are called by the name of the choice. What they are
 * called themselves is at best a name of the object's own (__memmove_avx_unaligned_erms), if there are debug symbols:
 * another is kept.
 */
static void name_choices(struct ftrace_object *obj, bool reserved)
{
	const struct ftrace_plan *plan = &obj->plan;

	for (u32 i = 0; i < plan->header->nifuncs; i++) {
		const struct ftrace_planned_ifunc *ifunc = &plan->ifuncs[i];
		const char *name = plan->strings + ifunc->name;
		unsigned long resolver = obj->base + ifunc->resolver;
		struct dyn_ftrace *site;
		struct ftrace_found *found;

		if (is_reserved(name) != reserved || resolver - obj->lo >= obj->hi - obj->lo)
			continue;
		site = ftrace_site_at(arch_resolve(resolver));
		if (!site || site->obj != obj)
			continue;
		found = &obj->find.found[ftrace_planned_index(site)];
		if (!(found->flags & FTRACE_FOUND_NAMELESS) && (reserved || !is_reserved(found->name)))
			continue;
		found->flags &= (u8)~FTRACE_FOUND_NAMELESS;
		site->name = found->name = name;
	}
}

/* Give @obj's sites what they need to be switched on. */
static int prepare(struct ftrace_object *obj, bool relocated)
{
	if (!obj->plan.header)
		return ftrace_object_arm(obj, obj->fresh || ftrace_count_threads() == 1);
	/* Moved ones are changed when somebody wants them. */
	for (u32 id = obj->first_site; id < obj->first_site + obj->nsites; id++)
		ftrace_site(id)->flags |= FTRACE_SITE_ARMED;
	if (relocated) {
		name_choices(obj, false);
		name_choices(obj, true);
	}
	ftrace_gdb_update();
	ftrace_perf_map_update();
	return 0;
}

void ftrace_object_add(const char *path, unsigned long base, u64 dev, u64 ino, bool fresh)
{
	struct ftrace_finding find;
	struct ftrace_object *obj;
	struct ftrace_plan plan;
	unsigned long lo, hi;
	bool back;
	u32 id;
	int err;

	err = mapped_range(path, base, &lo, &hi);
	if (!err)
		err = ftrace_find(path, &find);
	if (err) {
		if (err != -ENOENT && err != -ENOEXEC)
			ft_log(err, "%s: cannot be read for functions: error %d", path, -err);
		return;
	}
	open_plan(&plan, path, dev, ino, &find);
	obj = find_gone(dev, ino, &find, &plan, lo, hi);
	back = obj;
	if (!back)
		obj = new_object(path, lo, hi, &find, &plan, &err);
	if (back || !obj) {
		if (!obj)
			ft_log(err, "%s: no room for the stubs of %u functions: error %d", path,
			       plan.header ? plan.header->nfuncs : find.nfound, -err);
		ftrace_find_done(&find);
		ftrace_plan_close(&plan);
	}
	if (!obj)
		return;
	obj->base = base;
	obj->lo = lo;
	obj->hi = hi;
	obj->dev = dev;
	obj->ino = ino;
	obj->gone = false;
	obj->fresh = fresh;
	id = obj->first_site;
	for (u32 i = 0; i < obj->find.nfound; i++)
		if (obj->find.found[i].form != FTRACE_FORM_NONE) {
			fill_site(raw_site(id), id, obj, &obj->find.found[i]);
			id++;
		}
	if (!back)
		ftrace_objects_append(obj);
	if (obj->find.no_returns && !ftrace_returns_refused) {
		ftrace_returns_refused = true;
		ft_log(0, "%s: %s: entries are traced, returns are not", obj->name,
		       obj->find.no_returns);
	} else if (obj->find.no_own_returns && obj->nsites) {
		ft_log(0, "%s: %s: entries of its functions are traced, returns are not",
		       obj->name, obj->find.no_own_returns);
	}
	if (obj->nsites) {
		err = prepare(obj, !fresh);
		if (err)
			ft_log(err, "%s: its code cannot be changed: error %d; is /proc mounted "
			       "and writable, and may the program change its own code?",
			       obj->name, -err);
		ftrace_ops_new_sites(obj->first_site, obj->nsites);
	}
	ftrace_object_tell(obj, false);
	if (obj->nsites)
		ftrace_update_sites(obj->first_site, obj->nsites);
	obj->fresh = false;
}
