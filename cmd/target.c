/* SPDX-License-Identifier: MIT */
/* A running process, seen from outside; see target.h. */
#include "cmd/target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"

#define MAX_OBJECTS	65536u
#define MAX_SYMBOLS	(1u << 22)
#define MAX_STRINGS	(256ul << 20)

int target_read(const struct target *t, unsigned long addr, void *buf, size_t len)
{
	ssize_t n = pread(t->mem, buf, len, (off_t)addr);

	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
}

int target_write(const struct target *t, unsigned long addr, const void *buf, size_t len)
{
	ssize_t n = pwrite(t->mem, buf, len, (off_t)addr);

	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
}

/* Up to @size bytes with the NUL that ends the string; what cannot be read ends it as well. */
static void read_string(const struct target *t, unsigned long addr, char *buf, size_t size)
{
	size_t n = 0;

	for (; n + 1 < size; n++)
		if (target_read(t, addr + n, buf + n, 1) || !buf[n])
			break;
	buf[n] = 0;
}

unsigned long target_status(pid_t pid, const char *file, const char *key, int base,
			    unsigned long none)
{
	char path[64], line[4096];
	size_t len = strlen(key);
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, len)) {
			none = strtoul(line + len, NULL, base);
			break;
		}
	if (f)
		fclose(f);
	return none;
}

static int read_auxv(struct target *t)
{
	char path[64];
	ElfW(auxv_t) aux;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/auxv", t->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (read(fd, &aux, sizeof(aux)) == sizeof(aux) && aux.a_type != AT_NULL) {
		if (aux.a_type == AT_PHDR)
			t->phdr = aux.a_un.a_val;
		if (aux.a_type == AT_PHNUM)
			t->phnum = aux.a_un.a_val;
		if (aux.a_type == AT_BASE)
			t->loader = aux.a_un.a_val;
		if (aux.a_type == AT_SYSINFO_EHDR)
			t->vdso = (struct target_range){ aux.a_un.a_val, aux.a_un.a_val + 0x2000 };
	}
	close(fd);
	return t->phdr ? 0 : -ENOEXEC;
}

/* The executable's dynamic section in memory, 0: none. */
static unsigned long find_dynamic(const struct target *t)
{
	unsigned long base = 0, dynamic = 0;
	ElfW(Phdr) ph;

	for (unsigned long i = 0; i < t->phnum && i < 256; i++) {
		if (target_read(t, t->phdr + i * sizeof(ph), &ph, sizeof(ph)))
			return 0;
		if (ph.p_type == PT_PHDR)
			base = t->phdr - ph.p_vaddr;
		if (ph.p_type == PT_DYNAMIC)
			dynamic = ph.p_vaddr;
	}
	return dynamic ? base + dynamic : 0;
}

/* The value of @tag in the dynamic section at @dynamic, 0: none. */
static unsigned long dynamic_value(const struct target *t, unsigned long dynamic, long tag)
{
	ElfW(Dyn) d;

	for (unsigned int i = 0; i < 1024; i++) {
		if (target_read(t, dynamic + i * sizeof(d), &d, sizeof(d)) || d.d_tag == DT_NULL)
			return 0;
		if (d.d_tag == tag)
			return d.d_un.d_ptr;
	}
	return 0;
}

static void free_objects(struct target *t)
{
	for (size_t i = 0; i < t->nobjects; i++) {
		free(t->objects[i].name);
		free(t->objects[i].symbols);
		free(t->objects[i].strings);
	}
	free(t->objects);
	t->objects = NULL;
	t->nobjects = 0;
}

static int add_object(struct target *t, unsigned long at, const struct link_map *map)
{
	struct target_object *more = realloc(t->objects, (t->nobjects + 1) * sizeof(*more));
	char name[PATH_MAX] = "";

	if (!more)
		return -ENOMEM;
	t->objects = more;
	if (map->l_name)
		read_string(t, (unsigned long)map->l_name, name, sizeof(name));
	t->objects[t->nobjects] = (struct target_object) {
		.name = strdup(name),
		.map = at,
		.base = map->l_addr,
	};
	if (!t->objects[t->nobjects].name)
		return -ENOMEM;
	t->nobjects++;
	return 0;
}

static int read_objects(struct target *t)
{
	unsigned long dynamic = find_dynamic(t), at;
	struct link_map map;
	struct r_debug debug;
	int err = 0;

	free_objects(t);
	if (!dynamic)
		return -ENOEXEC;
	at = dynamic_value(t, dynamic, DT_DEBUG);
	if (!at || target_read(t, at, &debug, sizeof(debug)) || !debug.r_map)
		return -EAGAIN;		/* the loader has not begun, or this is a static program */
	for (at = (unsigned long)debug.r_map; at && !err; at = (unsigned long)map.l_next) {
		err = t->nobjects < MAX_OBJECTS ? target_read(t, at, &map, sizeof(map)) : -ELOOP;
		if (!err)
			err = add_object(t, at, &map);
	}
	return err;
}

/* Another thread may be at it: what it has freed meanwhile cannot be read. */
int target_read_objects(struct target *t)
{
	struct timespec pause = { .tv_nsec = 1000000 };
	int err = read_objects(t);

	for (int i = 0; i < 50 && err && err != -ENOEXEC; i++) {
		nanosleep(&pause, NULL);
		err = read_objects(t);
	}
	return err;
}

void target_comm(pid_t pid, char *comm, size_t size)
{
	char path[64];
	FILE *f;

	*comm = 0;
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (f && fgets(comm, (int)size, f))
		comm[strcspn(comm, "\n")] = 0;
	if (f)
		fclose(f);
}

int target_open(struct target *t, pid_t pid)
{
	char path[64];
	int err;

	*t = (struct target){ .pid = pid, .mem = -1 };
	target_comm(pid, t->comm, sizeof(t->comm));
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	t->mem = open(path, O_RDWR | O_CLOEXEC);
	err = t->mem < 0 ? -errno : read_auxv(t);
	if (!err)
		err = target_read_objects(t);
	if (err) {
		cmd_error(err == -EAGAIN ?
			  "process %d (%s): its loader has loaded nothing yet; try again in a moment" :
			  "process %d (%s): its memory cannot be read: %s", pid, t->comm, strerror(-err));
		target_close(t);
		return -1;
	}
	return 0;
}

void target_close(struct target *t)
{
	free_objects(t);
	if (t->mem >= 0)
		close(t->mem);
	t->mem = -1;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

struct target_object *target_object(struct target *t, const char *prefix)
{
	for (size_t i = 0; i < t->nobjects; i++)
		if (!strncmp(base_name(t->objects[i].name), prefix, strlen(prefix)))
			return &t->objects[i];
	return NULL;
}

/* ---- symbols ---- */

/* How many symbols a GNU hash table at @hash knows: one more than the last of its chains. */
static size_t count_symbols(const struct target *t, unsigned long hash)
{
	uint32_t head[4], bucket, last = 0, chain;
	unsigned long buckets;

	if (target_read(t, hash, head, sizeof(head)) || head[0] > MAX_SYMBOLS)
		return 0;
	buckets = hash + sizeof(head) + head[2] * sizeof(ElfW(Addr));
	for (uint32_t i = 0; i < head[0]; i++) {
		if (target_read(t, buckets + i * 4ul, &bucket, 4))
			return 0;
		if (bucket > last)
			last = bucket;
	}
	if (last < head[1])
		return last;
	do {
		if (last > MAX_SYMBOLS ||
		    target_read(t, buckets + head[0] * 4ul + (last - head[1]) * 4ul, &chain, 4))
			return 0;
		last++;
	} while (!(chain & 1));
	return last;
}

/* Addresses in a dynamic section are made absolute by glibc, but not in every object (the vdso). */
static unsigned long absolute(const struct target_object *obj, unsigned long addr)
{
	return addr && addr < obj->base ? addr + obj->base : addr;
}

static int read_symbols(struct target *t, struct target_object *obj)
{
	unsigned long dynamic, hash, symtab, strtab;
	struct link_map map;
	size_t n;

	if (obj->symbols)
		return 0;
	if (target_read(t, obj->map, &map, sizeof(map)))
		return -EIO;
	dynamic = (unsigned long)map.l_ld;
	hash = absolute(obj, dynamic_value(t, dynamic, DT_GNU_HASH));
	symtab = absolute(obj, dynamic_value(t, dynamic, DT_SYMTAB));
	strtab = absolute(obj, dynamic_value(t, dynamic, DT_STRTAB));
	obj->strings_len = dynamic_value(t, dynamic, DT_STRSZ);
	n = hash ? count_symbols(t, hash) : 0;
	if (!n || !symtab || !strtab || !obj->strings_len || obj->strings_len > MAX_STRINGS)
		return -ENOENT;
	obj->symbols = malloc(n * sizeof(ElfW(Sym)));
	obj->strings = malloc(obj->strings_len + 1);
	if (!obj->symbols || !obj->strings ||
	    target_read(t, symtab, obj->symbols, n * sizeof(ElfW(Sym))) ||
	    target_read(t, strtab, obj->strings, obj->strings_len)) {
		free(obj->symbols);
		free(obj->strings);
		obj->symbols = obj->strings = NULL;
		return -EIO;
	}
	obj->strings[obj->strings_len] = 0;
	obj->nsymbols = n;
	return 0;
}

unsigned long target_function(struct target *t, struct target_object *obj, const char *name,
			      size_t *size)
{
	const ElfW(Sym) *sym;

	if (read_symbols(t, obj))
		return 0;
	sym = obj->symbols;
	for (size_t i = 0; i < obj->nsymbols; i++, sym++)
		if (sym->st_shndx != SHN_UNDEF && sym->st_value && sym->st_name < obj->strings_len &&
		    !strcmp(obj->strings + sym->st_name, name)) {
			if (size)
				*size = sym->st_size;
			return obj->base + sym->st_value;
		}
	return 0;
}
