/* SPDX-License-Identifier: MIT */
/*
 * Calls of libc's functions sent to ours in a program that was running before we came: there, symbols
 * have been looked up already. What they were found to be stands in the objects' tables; it is changed there, as the
 * loader would have filled it in.
 */
#include <fcntl.h>
#include <link.h>

#include "arch.h"
#include "guest.h"
#include "loader.h"
#include "ops.h"
#include "recognise.h"

extern ElfW(Dyn) _DYNAMIC[] __attribute__((weak, visibility("hidden")));

/* r_info: the symbol's number, and behind so many bits of the type. */
#define SYMBOL_SHIFT	(sizeof(long) == 8 ? 32 : 8)

/* An object's tables, as its dynamic section has them. */
struct tables {
	const ElfW(Sym) *symbols;
	const char *strings;
	struct {
		const char *first;
		size_t size, step;
	} relocs[3];		/* DT_RELA, DT_REL, DT_JMPREL; each begins as ElfW(Rel) does */
};

static bool read_tables(const struct link_map *map, struct tables *t)
{
	size_t plt_step = sizeof(ElfW(Rel));
	const ElfW(Dyn) *d;

	ft_memset(t, 0, sizeof(*t));
	t->relocs[0].step = sizeof(ElfW(Rela));
	t->relocs[1].step = sizeof(ElfW(Rel));
	for (d = map->l_ld; d && d->d_tag != DT_NULL; d++) {
		switch (d->d_tag) {
		case DT_SYMTAB:
			t->symbols = (const ElfW(Sym) *)d->d_un.d_ptr;
			break;
		case DT_STRTAB:
			t->strings = (const char *)d->d_un.d_ptr;
			break;
		case DT_RELA:
			t->relocs[0].first = (const char *)d->d_un.d_ptr;
			break;
		case DT_RELASZ:
			t->relocs[0].size = d->d_un.d_val;
			break;
		case DT_REL:
			t->relocs[1].first = (const char *)d->d_un.d_ptr;
			break;
		case DT_RELSZ:
			t->relocs[1].size = d->d_un.d_val;
			break;
		case DT_JMPREL:
			t->relocs[2].first = (const char *)d->d_un.d_ptr;
			break;
		case DT_PLTRELSZ:
			t->relocs[2].size = d->d_un.d_val;
			break;
		case DT_PLTREL:
			if (d->d_un.d_val == DT_RELA)
				plt_step = sizeof(ElfW(Rela));
			break;
		}
	}
	t->relocs[2].step = plt_step;
	/* glibc has made the addresses absolute, other than in the vdso. */
	return (unsigned long)t->symbols > map->l_addr && (unsigned long)t->strings > map->l_addr;
}

/* Through /proc/self/mem: such tables are often read-only by now. One aligned word, so in one piece. */
static int write_slot(int mem, unsigned long slot, unsigned long value)
{
	long n;

	if (*(unsigned long *)slot == value)
		return 0;
	n = mem < 0 ? mem : ft_pwrite(mem, &value, sizeof(value), slot);
	return n == sizeof(value) ? 0 : n < 0 ? (int)n : -EIO;
}

static int redirect_object(const struct link_map *map, const struct ftrace_redirection *list, u32 n,
			   int mem)
{
	struct tables t;
	int err = 0;

	if (!read_tables(map, &t))
		return 0;
	for (u32 k = 0; k < ARRAY_SIZE(t.relocs); k++) {
		const char *p = t.relocs[k].first, *end = p + t.relocs[k].size;

		for (; p && p + t.relocs[k].step <= end; p += t.relocs[k].step) {
			const ElfW(Rel) *rel = (const ElfW(Rel) *)p;
			unsigned long symbol = rel->r_info >> SYMBOL_SHIFT;
			unsigned long type;
			const char *name;

			type = rel->r_info & ((1ul << SYMBOL_SHIFT) - 1);
			if (!symbol || (type != ARCH_R_GLOB_DAT && type != ARCH_R_JUMP_SLOT))
				continue;
			name = t.strings + t.symbols[symbol].st_name;
			for (u32 i = 0; i < n && !err; i++)
				if (name[0] == list[i].name[0] && !ft_strcmp(name, list[i].name))
					err = write_slot(mem, map->l_addr + rel->r_offset,
							 (unsigned long)list[i].func);
		}
	}
	return err;
}

int ftrace_redirect_locked(const struct ftrace_redirection *list, u32 n)
{
	const struct link_map *map;
	int mem = ft_open("/proc/self/mem", O_RDWR | O_CLOEXEC, 0), err = 0, e;

	for (map = ftrace_loaded_objects(); map; map = map->l_next) {
		const char *slash = map->l_name ? ft_strrchr(map->l_name, '/') : NULL;

		/* What calls libc's from ours would find ours again. Copies have no name of their own. */
		if (map->l_ld == _DYNAMIC || (slash && ft_starts_with(slash + 1, "libftrace")) ||
		    (map->l_name && ft_starts_with(map->l_name, "/proc/self/./fd/")))
			continue;
		e = redirect_object(map, list, n, mem);
		err = err ? err : e;
	}
	if (mem >= 0)
		ft_close(mem);
	return err;
}

FTRACE_INTERNAL int ftrace_redirect(const struct ftrace_redirection *list, u32 n)
{
	int err;

	ft_lock(ftrace_lock);
	err = ftrace_redirect_locked(list, n);
	ft_unlock(ftrace_lock);
	return err;
}

/* ---- references that no object defines ---- */

FTRACE_INTERNAL int ftrace_fill_references(unsigned long base,
					   unsigned long (*find)(const char *name, void *data),
					   void *data)
{
	const struct link_map *map = ftrace_loaded_objects();
	struct tables t;
	int mem, err = 0;

	while (map && (map->l_addr != base || map->l_ld == _DYNAMIC))
		map = map->l_next;
	if (!map || !read_tables(map, &t))
		return -ENOENT;
	mem = ft_open("/proc/self/mem", O_RDWR | O_CLOEXEC, 0);
	for (u32 k = 0; k < ARRAY_SIZE(t.relocs) && !err; k++) {
		const char *p = t.relocs[k].first, *end = p + t.relocs[k].size;

		for (; p && p + t.relocs[k].step <= end && !err; p += t.relocs[k].step) {
			const ElfW(Rela) *rel = (const ElfW(Rela) *)p;
			unsigned long symbol = rel->r_info >> SYMBOL_SHIFT;
			unsigned long type = rel->r_info & ((1ul << SYMBOL_SHIFT) - 1), to;

			if (!symbol || t.symbols[symbol].st_shndx != SHN_UNDEF ||
			    (type != ARCH_R_GLOB_DAT && type != ARCH_R_JUMP_SLOT && type != ARCH_R_WORD))
				continue;
			to = find(t.strings + t.symbols[symbol].st_name, data);
			/* Without addends in the table they were added to nothing, and stand there. */
			if (to && type == ARCH_R_WORD)
				to += t.relocs[k].step == sizeof(*rel) ? (unsigned long)rel->r_addend :
				      *(const unsigned long *)(base + rel->r_offset);
			if (to)
				err = write_slot(mem, base + rel->r_offset, to);
		}
	}
	if (mem >= 0)
		ft_close(mem);
	return err;
}
