/* SPDX-License-Identifier: MIT */
/* Where a symbol of any kind is, a variable's above all; functions are in symbols.h. */
#include "data-symbol.h"

#include <elf.h>

#include "elf-file.h"
#include "loader.h"

struct wanted {
	const char *name;
	size_t len;
};

static bool is_name(const struct wanted *w, const char *name)
{
	/* glibc's versions stand behind an @. */
	return name && !ft_strncmp(name, w->name, w->len) && (!name[w->len] || name[w->len] == '@');
}

/* Its value in this table; 0: not there, or not in this object. */
static u64 find_in(const struct elf *e, u32 type, const struct wanted *w)
{
	struct elf_section s;
	struct elf_symtab t;
	struct elf_symbol sym;

	if (!elf_find_type(e, type, &s))
		return 0;
	elf_symtab(e, &s, &t);
	for (u32 i = 1; i < t.count; i++) {
		elf_symbol(e, &t, i, &sym);
		if (sym.section == SHN_UNDEF || sym.type == STT_TLS || sym.type == STT_SECTION ||
		    sym.type == STT_FILE || !sym.value || !is_name(w, sym.name))
			continue;
		return sym.value;
	}
	return 0;
}

FTRACE_INTERNAL bool ftrace_symbol_in(const char *path, const char *name, size_t len)
{
	struct wanted w = { name, len };
	struct elf e;
	bool found;

	if (elf_open(&e, path, NULL))
		return false;
	found = find_in(&e, SHT_SYMTAB, &w) || find_in(&e, SHT_DYNSYM, &w);
	elf_close(&e);
	return found;
}

FTRACE_INTERNAL unsigned long ftrace_symbol_address(const char *name, size_t len)
{
	const struct link_map *map = ftrace_loaded_objects();
	struct wanted w = { name, len };
	unsigned long found = 0;

	for (; map && !found; map = map->l_next) {
		const char *path = map == ftrace_loaded_objects() ? "/proc/self/exe" : map->l_name;
		struct elf e;
		u64 value;

		if (!path || !*path || elf_open(&e, path, NULL))
			continue;
		value = find_in(&e, SHT_SYMTAB, &w);
		if (!value)
			value = find_in(&e, SHT_DYNSYM, &w);
		if (value)
			found = map->l_addr + (unsigned long)value;
		elf_close(&e);
	}
	return found;
}
