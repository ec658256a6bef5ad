/* SPDX-License-Identifier: MIT */
/* Which objects there are, as the loader brings and takes them away; see object.h. */
#include <link.h>
#include <sys/syscall.h>

#include "arch.h"
#include "kprobe.h"
#include "loader.h"
#include "object.h"
#include "site.h"
#include "thunk.h"

/* A static program has none. */
extern ElfW(Dyn) _DYNAMIC[] __attribute__((weak, visibility("hidden")));

static struct ftrace_object *objects, **objects_tail = &objects;
static u32 nobjects;
static bool (*want_object)(const char *path, bool executable);
static void (*object_notify)(struct ftrace_object *obj, bool gone);

FTRACE_INTERNAL void ftrace_set_object_filter(bool (*want)(const char *path, bool executable))
{
	want_object = want;
}

FTRACE_INTERNAL void ftrace_set_object_notify(void (*notify)(struct ftrace_object *obj, bool gone))
{
	object_notify = notify;
}

FTRACE_INTERNAL struct ftrace_object *ftrace_objects(void)
{
	return __atomic_load_n(&objects, __ATOMIC_ACQUIRE);
}

void ftrace_objects_append(struct ftrace_object *obj)
{
	obj->index = nobjects++;
	smp_store_release(objects_tail, obj);
	objects_tail = &obj->next;
}

void ftrace_object_tell(struct ftrace_object *obj, bool gone)
{
	if (object_notify)
		object_notify(obj, gone);
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

static void forget_object(struct ftrace_object *obj)
{
	obj->gone = true;
	probes_object_gone(obj);
	ftrace_thunks_gone(obj);
	for (u32 id = obj->first_site; id < obj->first_site + obj->nsites; id++) {
		struct dyn_ftrace *site = ftrace_site(id);

		site->flags |= FTRACE_SITE_GONE;
		site->flags &= ~(u32)(FTRACE_SITE_ARMED | FTRACE_SITE_ON);
	}
}

static void remove_object(struct ftrace_object *obj)
{
	forget_object(obj);
	ftrace_object_tell(obj, true);
}

static struct ftrace_object *find_object(unsigned long base, u64 dev, u64 ino)
{
	for (struct ftrace_object *obj = objects; obj; obj = obj->next)
		if (!obj->gone && obj->base == base && obj->dev == dev && obj->ino == ino)
			return obj;
	return NULL;
}

unsigned long ftrace_static_base(void)
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
	return ftrace_program_base(phdr, phnum);
}

void ftrace_objects_scan(bool fresh)
{
	struct link_map alone = { .l_name = (char *)"" };
	const struct link_map *map = ftrace_loaded_objects();
	struct ftrace_object *obj;
	bool first = true;

	if (!map) {
		alone.l_addr = ftrace_static_base();
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
			ftrace_object_add(path, map->l_addr, dev, ino, fresh);
			obj = find_object(map->l_addr, dev, ino);
		}
		if (obj)
			obj->seen = true;
	}
	for (obj = objects; obj; obj = obj->next)
		if (!obj->seen && !obj->gone)
			remove_object(obj);
}

/* Are there sites of @obj that are on? */
static bool is_on(const struct ftrace_object *obj)
{
	for (u32 id = obj->first_site; id < obj->first_site + obj->nsites; id++)
		if (ftrace_site(id)->flags & FTRACE_SITE_ON)
			return true;
	return false;
}

int ftrace_objects_release(void)
{
	struct ftrace_object *obj;
	int err = 0, e;

	for (obj = objects; obj; obj = obj->next)
		if (!obj->gone && is_on(obj))
			return -EAGAIN;
	for (obj = objects; obj; obj = obj->next) {
		if (obj->gone || !obj->before)
			continue;
		e = ftrace_object_disarm(obj);
		if (!e)
			forget_object(obj);
		err = err ? err : e;
	}
	return err;
}

void ftrace_objects_retry(void)
{
	for (struct ftrace_object *obj = objects; obj; obj = obj->next)
		if (!obj->gone && !obj->nsites && !obj->find.nfound && !obj->plan.header)
			remove_object(obj);
}

/* Is it worth while to be looked at once more? One that there was no plan for, whyever that was, is not. */
static bool is_known(const struct ftrace_object *obj)
{
	const struct link_map *first = ftrace_loaded_objects();
	bool executable = !first || first->l_addr == obj->base;

	/* What could not be switched off is kept, wanted or not. */
	if (is_on(obj))
		return true;
	return (obj->find.nfound || obj->plan.header) &&
	       (!want_object || want_object(obj->path, executable));
}

void ftrace_objects_again(void)
{
	for (struct ftrace_object *obj = objects; obj; obj = obj->next) {
		if (obj->gone)
			continue;
		if (!is_known(obj))
			forget_object(obj);
		else
			ftrace_object_tell(obj, false);
	}
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
