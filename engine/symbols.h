/* SPDX-License-Identifier: MIT */
/*
 * The function symbols of an object, by address, from wherever they can be had: its own .symtab;
 * else a separate debug file's; else .gnu_debugdata and .dynsym together; else .dynsym.
 */
#ifndef FTRACE_ENGINE_SYMBOLS_H
#define FTRACE_ENGINE_SYMBOLS_H

#include "elf-file.h"

struct func_symbol {
	u64 addr;		/* first: ft_sort() */
	u64 size;
	const char *name;	/* perhaps with a version behind an `@` */
	u64 rank;		/* which of several at one address is shown: the lowest */
};

#define SYMBOL_RANK_LOCAL 2	/* ranks below this one: global or weak */
#define SYMBOL_RANK_IFUNC 4	/* ranks from here on: its address is that of an IFUNC's resolver */

struct symbols {
	struct func_symbol *sym;	/* sorted by addr */
	u32 n;
	u32 hint;			/* where the last look-up ended */
	bool complete;			/* every function has one: it is a .symtab */
	char from[ELF_PATH_MAX];	/* ".symtab", ".gnu_debugdata", ".dynsym", a path, "" */
	size_t capacity;
	struct elf debug;		/* the separate debug file, or what .gnu_debugdata holds */
	void *unpacked;
	size_t unpacked_size;
};

/*
 * @real: absolute path of the object (for the debug link), @build_id as hex; either may be "".
 * Only -ENOMEM: an object without symbols, or with bad ones, has none.
 */
int symbols_load(struct symbols *s, const struct elf *e, const char *real, const char *build_id);
void symbols_unload(struct symbols *s);

/* Index of the first symbol at or above @addr; n: none. Fast for rising addresses. */
u32 symbols_lower(struct symbols *s, u64 addr);

/* Does a function symbol stand at @addr? */
bool symbols_has(struct symbols *s, u64 addr);

/*
 * The symbol to show for @addr: the global, shortest, first in the alphabet; NULL: none there.
 */
const struct func_symbol *symbols_best(struct symbols *s, u64 addr);

/* Length of @name without its version. */
size_t symbols_name_length(const char *name);

/* Decompress .gnu_debugdata (unxz.c): a mapping of *@size bytes for scratch_free(), or NULL. */
void *symbols_unxz(const u8 *data, size_t len, size_t *size);

/* Not to load liblzma for that: this thread may be none that the C library knows. */
extern bool symbols_without_libc;

#endif /* FTRACE_ENGINE_SYMBOLS_H */
