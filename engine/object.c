/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/syscall.h>

#include "arch.h"
#include "chunk.h"
#include "gdb.h"
#include "loader.h"
#include "object.h"
#include "ops.h"
#include "perfmap.h"
#include "site.h"
#include "text.h"
#include "thunk.h"

/* A static program has none. */
extern ElfW(Dyn) _DYNAMIC[] __attribute__((weak, visibility("hidden")));

static struct ftrace_object *objects, **objects_tail = &objects;
static u32 nobjects;
static bool (*want_object)(const char *path, bool executable);
static int (*object_plan)(const char *object, u64 dev, u64 ino, char *path, size_t size);
static void (*object_notify)(struct ftrace_object *obj, bool gone);

FTRACE_INTERNAL void ftrace_set_object_filter(bool (*want)(const char *path, bool executable))
{
	want_object = want;
}

FTRACE_INTERNAL void ftrace_set_object_plan(int (*plan_path)(const char *object, u64 dev, u64 ino,
							     char *path, size_t size))
{
	object_plan = plan_path;
}

FTRACE_INTERNAL void ftrace_set_object_notify(void (*notify)(struct ftrace_object *obj, bool gone))
{
	object_notify = notify;
}

FTRACE_INTERNAL struct ftrace_object *ftrace_objects(void)
{
	return __atomic_load_n(&objects, __ATOMIC_ACQUIRE);
}

FTRACE_INTERNAL struct dyn_ftrace *ftrace_site_at(unsigned long ip)
{
	for (struct ftrace_object *obj = objects; obj; obj = obj->next) {
		u32 lo = 0, hi = obj->nsites;

		if (obj->gone || ip < obj->lo || ip >= obj->hi)
			continue;
		while (lo < hi) {	/* the first site at or behind ip */
			u32 mid = lo + (hi - lo) / 2;

			if (ftrace_site(obj->first_site + mid)->ip < ip)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo < obj->nsites) {
			struct dyn_ftrace *site = ftrace_site(obj->first_site + lo);

			if (site->ip == ip || site->ip - site->entry_delta == ip)
				return site;
		}
	}
	return NULL;
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

/* Threads of this process; 1 when it cannot be found out. */
static unsigned long count_threads(void)
{
	char buf[512], *p;
	long n = ft_read_file("/proc/self/stat", buf, sizeof(buf) - 1);
	unsigned long threads = 0;

	if (n <= 0)
		return 1;
	buf[n] = 0;
	p = ft_strrchr(buf, ')');
	/* Field 20 of the line, the 18th behind the name (proc(5)). */
	for (int field = 2; p && *p && field < 20; p++)
		field += *p == ' ';
	for (; p && *p >= '0' && *p <= '9'; p++)
		threads = threads * 10 + (unsigned long)(*p - '0');
	return threads ? threads : 1;
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
	site->body_delta = (u8)(arch_site_body(site) - site->ip);
	site->entry = ftrace_stub_pass;
	site->exit = ftrace_graph_return;
	site->flags = found->flags & FTRACE_FOUND_ENTRY_ONLY ? FTRACE_SITE_ENTRY_ONLY : 0;
	smp_store_release(&site->id, id);
}

/* The dyn_ftrace of an id that is reserved, whether it is filled in or not. */
static struct dyn_ftrace *raw_site(u32 id)
{
	return (struct dyn_ftrace *)(ftrace_stub(id) + FTRACE_CHUNK_CODE);
}

/*
 * Write the displacements of @obj's sites: from here on one byte toggles each. No thread may stand
 * in the bytes.
 */
static int arm(struct ftrace_object *obj)
{
	struct ftrace_text text;
	u32 armed = 0, refused = 0;
	const char *why = NULL;
	int err = ftrace_chunk_write_stubs(obj->first_site, obj->nsites);

	if (err)
		return err;
	ftrace_text_open(&text);
	for (u32 id = obj->first_site; id < obj->first_site + obj->nsites && !err;) {
		/* One write a page; its other bytes are rewritten with themselves. */
		u8 page[FT_PAGE_SIZE + 16];
		unsigned long base = ftrace_site(id)->ip, end = base;
		u32 first = id, last = id;

		for (; last < obj->first_site + obj->nsites; last++) {
			struct dyn_ftrace *site = ftrace_site(last);

			if (site->ip + 8 - base > FT_PAGE_SIZE)
				break;
		}
		for (; id < last; id++) {
			struct arch_patch patch[ARCH_SITE_PATCHES];
			struct dyn_ftrace *site = ftrace_site(id);
			const char *bad = arch_site_check(site);
			int n = bad ? 0 : arch_site_arm(site, ftrace_stub(id), patch);

			if (bad || n < 0) {
				site->flags |= FTRACE_SITE_REFUSED;
				why = bad ? bad : "its stub is out of reach";
				refused++;
				continue;
			}
			for (int i = 0; i < n && !err; i++) {
				if (patch[i].addr < base) {	/* before the first site */
					err = ftrace_text_write(&text, patch[i].addr,
								patch[i].bytes, patch[i].len);
					continue;
				}
				if (end < patch[i].addr + patch[i].len) {
					/* Bytes not copied yet. */
					ft_memcpy(page + (end - base), (const void *)end,
						  patch[i].addr + patch[i].len - end);
					end = patch[i].addr + patch[i].len;
				}
				ft_memcpy(page + (patch[i].addr - base), patch[i].bytes,
					  patch[i].len);
			}
			site->flags |= FTRACE_SITE_ARMED | FTRACE_SITE_STUB;
			armed++;
		}
		if (end > base && !err)
			err = ftrace_text_write(&text, base, page, end - base);
		if (err) {
			for (u32 i = first; i < id; i++)
				ftrace_site(i)->flags &= ~(u32)FTRACE_SITE_ARMED;
		}
	}
	ftrace_text_close(&text);
	arch_poke_sync();
	obj->refused_now = refused;
	obj->refused_why = why;
	if (refused)
		ft_log(0, "%s: %u of %u functions cannot be traced now: %s", obj->name, refused,
		       obj->nsites, why);
	ftrace_gdb_update();
	ftrace_perf_map_update();
	return err;
}

/*
 * The same file comes back: its functions keep their ids and stubs. @nsites and the order are the
 * file's, so only addresses change.
 */
static struct ftrace_object *find_gone(u64 dev, u64 ino, const struct ftrace_finding *find,
				       unsigned long lo, unsigned long hi)
{
	for (struct ftrace_object *obj = objects; obj; obj = obj->next) {
		unsigned long stubs, reach = arch_site_reach();

		if (!obj->gone || obj->dev != dev || obj->ino != ino ||
		    obj->find.nfound != find->nfound || obj->find.nrefused != find->nrefused ||
		    ft_strcmp(obj->find.build_id, find->build_id))
			continue;
		stubs = ftrace_stub(obj->first_site);
		if ((stubs > lo ? stubs - lo : lo - stubs) + (hi - lo) < reach)
			return obj;
	}
	return NULL;
}

static const char *base_name(const char *path)
{
	const char *slash = ft_strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static char *copy_string(const char *s)
{
	char *p = ft_alloc(ft_strlen(s) + 1);

	return p ? ft_memcpy(p, s, ft_strlen(s) + 1) : NULL;
}

static struct ftrace_object *new_object(const char *path, unsigned long lo, unsigned long hi,
					struct ftrace_finding *find, int *err)
{
	struct ftrace_object *obj = ft_alloc(sizeof(*obj));

	if (!obj || !(obj->path = copy_string(path))) {
		*err = -ENOMEM;
		return NULL;
	}
	ft_snprintf(obj->name, sizeof(obj->name), "%s", base_name(path));
	obj->find = *find;
	obj->index = nobjects++;
	obj->nsites = find->nfound - find->nrefused;
	*err = obj->nsites ? ftrace_chunk_reserve(lo, hi, obj->nsites, &obj->first_site) : 0;
	if (*err) {
		nobjects--;
		ft_free(obj->path, ft_strlen(obj->path) + 1);
		ft_free(obj, sizeof(*obj));
		return NULL;
	}
	return obj;
}

/* An object was mapped at @base: give it sites. @id: its dev and ino. */
static void add_object(const char *path, unsigned long base, u64 dev, u64 ino, bool fresh)
{
	struct ftrace_finding find;
	struct ftrace_object *obj;
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
	obj = find_gone(dev, ino, &find, lo, hi);
	back = obj;
	if (back)
		ftrace_find_done(&find);
	else
		obj = new_object(path, lo, hi, &find, &err);
	if (!obj) {
		ft_log(err, "%s: no room for the stubs of %u functions: error %d", path,
		       find.nfound, -err);
		ftrace_find_done(&find);
		return;
	}
	obj->base = base;
	obj->lo = lo;
	obj->hi = hi;
	obj->dev = dev;
	obj->ino = ino;
	obj->gone = false;
	id = obj->first_site;
	for (u32 i = 0; i < obj->find.nfound; i++)
		if (obj->find.found[i].form != FTRACE_FORM_NONE) {
			fill_site(raw_site(id), id, obj, &obj->find.found[i]);
			id++;
		}
	if (!back) {
		smp_store_release(objects_tail, obj);
		objects_tail = &obj->next;
	}
	if ((obj->find.go_runtime || obj->find.tsan) && !ftrace_returns_refused) {
		ftrace_returns_refused = true;
		ft_log(0, "%s: %s: entries are traced, returns are not", obj->name,
		       obj->find.go_runtime ? "the Go runtime moves and scans its stacks" :
		       "ThreadSanitizer keeps a call stack of its own by return addresses");
	}
	if (!obj->nsites)
		goto out;
	/* Five nops are five instructions: a thread could stand between them. */
	if (!fresh && count_threads() > 1) {
		ft_log(-EBUSY, "%s: its functions cannot be traced: threads were running before "
		       "the library was loaded; link with it, or preload it", obj->name);
		obj->refused_now = obj->nsites;
		obj->refused_why = "threads were running before the tracer was loaded";
	} else {
		err = arm(obj);
		if (err)
			ft_log(err, "%s: its code cannot be changed: error %d; is /proc mounted "
			       "and writable, and may the program change its own code?",
			       obj->name, -err);
	}
	for (struct ftrace_ops *ops = ftrace_ops_list; ops; ops = ftrace_ops_next(ops))
		ftrace_filter_new_sites(ops, obj->first_site, obj->nsites);
	for (unsigned int i = 0; i < FGRAPH_MAX_OPS; i++)
		if (fgraph_array[i])
			ftrace_filter_new_sites(&fgraph_array[i]->ops, obj->first_site,
						obj->nsites);
out:
	if (object_notify)
		object_notify(obj, false);
	if (obj->nsites)
		ftrace_update_sites(obj->first_site, obj->nsites);
}

static void remove_object(struct ftrace_object *obj)
{
	obj->gone = true;
	ftrace_thunks_gone(obj);
	for (u32 id = obj->first_site; id < obj->first_site + obj->nsites; id++) {
		struct dyn_ftrace *site = ftrace_site(id);

		site->flags |= FTRACE_SITE_GONE;
		site->flags &= ~(u32)(FTRACE_SITE_ARMED | FTRACE_SITE_ON);
	}
	if (object_notify)
		object_notify(obj, true);
}

static struct ftrace_object *find_object(unsigned long base, u64 dev, u64 ino)
{
	for (struct ftrace_object *obj = objects; obj; obj = obj->next)
		if (!obj->gone && obj->base == base && obj->dev == dev && obj->ino == ino)
			return obj;
	return NULL;
}

/* Where the executable was loaded, in a process without a dynamic loader. */
static unsigned long static_base(void)
{
	ElfW(auxv_t) auxv[64];
	long n = ft_read_file("/proc/self/auxv", (char *)auxv, sizeof(auxv));
	unsigned long phnum = 0;
	const ElfW(Phdr) *phdr = NULL;

	for (unsigned int i = 0; n > 0 && i < (unsigned long)n / sizeof(auxv[0]); i++) {
		if (auxv[i].a_type == AT_PHDR)
			phdr = (const ElfW(Phdr) *)auxv[i].a_un.a_val;
		if (auxv[i].a_type == AT_PHNUM)
			phnum = auxv[i].a_un.a_val;
	}
	for (unsigned long i = 0; phdr && i < phnum; i++)
		if (phdr[i].p_type == PT_PHDR)
			return (unsigned long)phdr - phdr[i].p_vaddr;
	return 0;	/* linked without PT_PHDR: not position independent */
}

void ftrace_objects_scan(bool fresh)
{
	struct link_map alone = { .l_name = (char *)"" };
	const struct link_map *map = ftrace_loaded_objects();
	struct ftrace_object *obj;
	bool first = true;

	if (!map) {
		alone.l_addr = static_base();
		map = &alone;
	}
	for (obj = objects; obj; obj = obj->next)
		obj->seen = false;
	for (; map; map = map->l_next, first = false) {
		char exe[1024];
		const char *path = map->l_name;
		u64 dev, ino;

		if (map->l_ld == _DYNAMIC && !first)
			continue;			/* ourselves */
		if (first) {
			long n = arch_syscall(SYS_readlink, (long)"/proc/self/exe", (long)exe,
					      sizeof(exe) - 1, 0, 0, 0);

			if (n > 0) {
				exe[n] = 0;
				path = exe;
			}
		}
		if (!path || !*path)
			continue;
		if (arch_stat(first ? "/proc/self/exe" : path, &dev, &ino) &&
		    arch_stat(path, &dev, &ino))
			continue;			/* the vdso, or deleted */
		obj = find_object(map->l_addr, dev, ino);
		if (!obj) {
			if (want_object && !want_object(path, first))
				continue;
			add_object(path, map->l_addr, dev, ino, fresh);
			obj = find_object(map->l_addr, dev, ino);
		}
		if (obj)
			obj->seen = true;
	}
	for (obj = objects; obj; obj = obj->next)
		if (!obj->seen && !obj->gone)
			remove_object(obj);
}

bool ftrace_objects_scan_quietly(void)
{
	const struct link_map *map;
	struct ftrace_object *obj;
	bool left_out = false;

	for (obj = objects; obj; obj = obj->next)
		obj->seen = false;
	for (map = ftrace_loaded_objects(); map; map = map->l_next) {
		bool known = false;

		for (obj = objects; obj; obj = obj->next)
			if (!obj->gone && obj->base == map->l_addr)
				known = obj->seen = true;
		left_out |= !known && map->l_name[0] && want_object && want_object(map->l_name, false);
	}
	for (obj = objects; obj; obj = obj->next)
		if (!obj->seen && !obj->gone)
			remove_object(obj);
	return left_out;
}
