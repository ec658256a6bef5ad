/* SPDX-License-Identifier: MIT */
/*
 * What the loader of a running process has loaded, and symbols in that, out of the process's memory. Of either
 * width: what is read is made the wide one's.
 */
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arch/inject.h"
#include "cmd/target.h"

#define MAX_OBJECTS	65536u
#define MAX_SYMBOLS	(1u << 22)
#define MAX_STRINGS	(256ul << 20)

/* ---- words and structures ---- */

static unsigned long word_size(const struct target *t)
{
	return t->abi->wide ? 8 : 4;
}

/* @n words at @addr. 0 or -errno. */
static int read_words(const struct target *t, unsigned long addr, unsigned long *words, unsigned int n)
{
	uint32_t narrow[8];
	int err;

	if (t->abi->wide)
		return target_read(t, addr, words, n * sizeof(*words));
	err = target_read(t, addr, narrow, n * sizeof(*narrow));
	for (unsigned int i = 0; !err && i < n; i++)
		words[i] = narrow[i];
	return err;
}

static bool read_phdr(const struct target *t, unsigned long at, unsigned long i, Elf64_Phdr *ph)
{
	Elf32_Phdr narrow;

	if (t->abi->wide)
		return !target_read(t, at + i * sizeof(*ph), ph, sizeof(*ph));
	if (target_read(t, at + i * sizeof(narrow), &narrow, sizeof(narrow)))
		return false;
	*ph = (Elf64_Phdr){
		.p_type = narrow.p_type,
		.p_flags = narrow.p_flags,
		.p_vaddr = narrow.p_vaddr,
		.p_memsz = narrow.p_memsz,
		.p_align = narrow.p_align,
	};
	return true;
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

/* ---- the loader's list ---- */

/* The executable's dynamic section in memory, 0: none. */
static unsigned long find_dynamic(const struct target *t)
{
	unsigned long base = 0, dynamic = 0;
	Elf64_Phdr ph;

	for (unsigned long i = 0; i < t->phnum && i < 256; i++) {
		if (!read_phdr(t, t->phdr, i, &ph))
			return 0;
		if (ph.p_type == PT_PHDR)
			base = t->phdr - ph.p_vaddr;
		if (ph.p_type == PT_DYNAMIC)
			dynamic = ph.p_vaddr;
	}
	return dynamic ? base + dynamic : 0;
}

/* The value of @tag in the dynamic section at @dynamic, 0: none. */
static unsigned long dynamic_value(const struct target *t, unsigned long dynamic, unsigned long tag)
{
	unsigned long d[2];

	for (unsigned int i = 0; i < 1024; i++) {
		if (read_words(t, dynamic + i * 2 * word_size(t), d, 2) || d[0] == DT_NULL)
			return 0;
		if (d[0] == tag)
			return d[1];
	}
	return 0;
}

void target_free_objects(struct target *t)
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

/* Words of a struct link_map, and of a struct r_debug (whose first is a number and what is left of a word). */
enum { MAP_ADDR, MAP_NAME, MAP_DYNAMIC, MAP_NEXT, MAP_WORDS };
enum { DEBUG_MAP = 1, DEBUG_WORDS };

static int add_object(struct target *t, const unsigned long map[MAP_WORDS])
{
	struct target_object *more = realloc(t->objects, (t->nobjects + 1) * sizeof(*more));
	char name[PATH_MAX] = "";

	if (!more)
		return -ENOMEM;
	t->objects = more;
	if (map[MAP_NAME])
		read_string(t, map[MAP_NAME], name, sizeof(name));
	t->objects[t->nobjects] = (struct target_object) {
		.name = strdup(name),
		.base = map[MAP_ADDR],
		.dynamic = map[MAP_DYNAMIC],
	};
	if (!t->objects[t->nobjects].name)
		return -ENOMEM;
	t->nobjects++;
	return 0;
}

static int read_objects(struct target *t)
{
	unsigned long dynamic = find_dynamic(t), at, map[MAP_WORDS], debug[DEBUG_WORDS];
	int err = 0;

	target_free_objects(t);
	if (!dynamic)
		return -ENOEXEC;
	at = dynamic_value(t, dynamic, DT_DEBUG);
	if (!at || read_words(t, at, debug, DEBUG_WORDS) || !debug[DEBUG_MAP])
		return -EAGAIN;		/* the loader has not begun, or this is a static program */
	for (at = debug[DEBUG_MAP]; at && !err; at = map[MAP_NEXT]) {
		err = t->nobjects < MAX_OBJECTS ? read_words(t, at, map, MAP_WORDS) : -ELOOP;
		if (!err)
			err = add_object(t, map);
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

/* Where the program headers of the object whose ELF header is at @base are, and how many. False: it is none. */
static bool find_phdrs(const struct target *t, unsigned long base, unsigned long *phdr, unsigned long *phnum)
{
	union {
		Elf64_Ehdr wide;
		Elf32_Ehdr narrow;
	} eh;

	if (target_read(t, base, &eh, t->abi->wide ? sizeof(eh.wide) : sizeof(eh.narrow)) ||
	    memcmp(eh.wide.e_ident, ELFMAG, SELFMAG))
		return false;
	*phdr = base + (t->abi->wide ? eh.wide.e_phoff : eh.narrow.e_phoff);
	*phnum = t->abi->wide ? eh.wide.e_phnum : eh.narrow.e_phnum;
	return true;
}

void target_find_text(const struct target *t, struct target_object *obj)
{
	unsigned long phdr, phnum;
	Elf64_Phdr ph;

	if (!find_phdrs(t, obj->base, &phdr, &phnum))
		return;
	for (unsigned long i = 0; i < phnum; i++)
		if (read_phdr(t, phdr, i, &ph) && ph.p_type == PT_LOAD &&
		    ph.p_flags & PF_X)
			obj->text = (struct target_range){ obj->base + ph.p_vaddr,
							   obj->base + ph.p_vaddr + ph.p_memsz };
}

/* The build-id in the notes at @note, @size bytes, which are aligned to @align; "": none. */
static void find_build_id(const uint8_t *note, size_t size, size_t align, char hex[41])
{
	for (size_t at = 0; at + sizeof(Elf64_Nhdr) <= size;) {
		Elf64_Nhdr nh;		/* in both widths the same */
		size_t desc, end;

		memcpy(&nh, note + at, sizeof(nh));
		desc = at + sizeof(nh) + ((nh.n_namesz + align - 1) & -align);
		end = desc + ((nh.n_descsz + align - 1) & -align);
		if (end > size || end <= at)
			return;
		if (nh.n_type == NT_GNU_BUILD_ID && nh.n_namesz == 4 && nh.n_descsz <= 20 &&
		    !memcmp(note + at + sizeof(nh), "GNU", 4))
			for (size_t k = 0; k < nh.n_descsz; k++)
				snprintf(hex + 2 * k, 3, "%02x", note[desc + k]);
		at = end;
	}
}

void target_build_id(const struct target *t, const struct target_object *obj, char hex[41])
{
	unsigned long phdr = t->phdr, phnum = t->phnum;
	uint8_t note[4096];
	Elf64_Phdr ph;

	hex[0] = 0;
	if (obj != t->objects && !find_phdrs(t, obj->base, &phdr, &phnum))
		return;
	for (unsigned long i = 0; i < phnum && i < 64 && !hex[0]; i++) {
		if (!read_phdr(t, phdr, i, &ph))
			return;
		if (ph.p_type == PT_NOTE && ph.p_memsz <= sizeof(note) &&
		    !target_read(t, obj->base + ph.p_vaddr, note, ph.p_memsz))
			find_build_id(note, ph.p_memsz, ph.p_align == 8 ? 8 : 4, hex);
	}
}

int target_read_word(const struct target *t, unsigned long addr, unsigned long *word)
{
	return read_words(t, addr, word, 1);
}

/* ---- symbols ---- */

/* How many symbols a GNU hash table at @hash knows: one more than the last of its chains. */
static size_t count_symbols(const struct target *t, unsigned long hash)
{
	uint32_t head[4], bucket, last = 0, chain;
	unsigned long buckets;

	if (target_read(t, hash, head, sizeof(head)) || head[0] > MAX_SYMBOLS)
		return 0;
	buckets = hash + sizeof(head) + head[2] * word_size(t);
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

/* The older table says it: as many as it has chains. */
static size_t count_symbols_of_old(const struct target *t, unsigned long hash)
{
	uint32_t head[2];

	return target_read(t, hash, head, sizeof(head)) || head[1] > MAX_SYMBOLS ? 0 : head[1];
}

/* Addresses in a dynamic section are made absolute by glibc, but not in every object (the vdso). */
static unsigned long absolute(const struct target_object *obj, unsigned long addr)
{
	return addr && addr < obj->base ? addr + obj->base : addr;
}

/* The @n symbols at @symtab as the wide ones are. NULL: no memory, or they cannot be read. */
static Elf64_Sym *read_table(const struct target *t, unsigned long symtab, size_t n)
{
	Elf64_Sym *wide = calloc(n, sizeof(*wide));
	Elf32_Sym *narrow = t->abi->wide ? NULL : calloc(n, sizeof(*narrow));
	int err;

	if (t->abi->wide)
		err = wide ? target_read(t, symtab, wide, n * sizeof(*wide)) : -ENOMEM;
	else
		err = wide && narrow ? target_read(t, symtab, narrow, n * sizeof(*narrow)) : -ENOMEM;
	for (size_t i = 0; !err && narrow && i < n; i++)
		wide[i] = (Elf64_Sym){
			.st_name = narrow[i].st_name,
			.st_info = narrow[i].st_info,
			.st_shndx = narrow[i].st_shndx,
			.st_value = narrow[i].st_value,
			.st_size = narrow[i].st_size,
		};
	free(narrow);
	if (err) {
		free(wide);
		return NULL;
	}
	return wide;
}

/* Those that are defined, with their names. */
static int keep_symbols(struct target_object *obj, const Elf64_Sym *table, size_t n)
{
	obj->symbols = calloc(n, sizeof(*obj->symbols));
	if (!obj->symbols)
		return -ENOMEM;
	obj->nsymbols = 0;
	for (size_t i = 0; i < n; i++) {
		const Elf64_Sym *sym = &table[i];

		if (sym->st_shndx == SHN_UNDEF || !sym->st_value || sym->st_name >= obj->strings_len)
			continue;
		obj->symbols[obj->nsymbols++] = (struct target_symbol){
			.name = obj->strings + sym->st_name,
			.addr = obj->base + sym->st_value,
			.size = sym->st_size,
		};
	}
	return 0;
}

int target_read_symbols(const struct target *t, struct target_object *obj)
{
	unsigned long hash, old_hash, symtab, strtab;
	Elf64_Sym *table = NULL;
	int err = -ENOENT;
	size_t n;

	if (obj->symbols)
		return 0;
	hash = absolute(obj, dynamic_value(t, obj->dynamic, DT_GNU_HASH));
	old_hash = absolute(obj, dynamic_value(t, obj->dynamic, DT_HASH));
	symtab = absolute(obj, dynamic_value(t, obj->dynamic, DT_SYMTAB));
	strtab = absolute(obj, dynamic_value(t, obj->dynamic, DT_STRTAB));
	obj->strings_len = dynamic_value(t, obj->dynamic, DT_STRSZ);
	n = hash ? count_symbols(t, hash) : old_hash ? count_symbols_of_old(t, old_hash) : 0;
	if (n && symtab && strtab && obj->strings_len && obj->strings_len < MAX_STRINGS) {
		obj->strings = calloc(1, obj->strings_len + 1);
		table = read_table(t, symtab, n);
		err = !obj->strings || !table ? -ENOMEM :
		      target_read(t, strtab, obj->strings, obj->strings_len);
	}
	if (!err)
		err = keep_symbols(obj, table, n);
	free(table);
	if (err) {
		free(obj->strings);
		obj->strings = NULL;
	}
	return err;
}

unsigned long target_function(const struct target *t, struct target_object *obj, const char *name)
{
	if (target_read_symbols(t, obj))
		return 0;
	for (size_t i = 0; i < obj->nsymbols; i++)
		if (!strcmp(obj->symbols[i].name, name))
			return obj->symbols[i].addr;
	return 0;
}
