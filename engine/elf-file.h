/* SPDX-License-Identifier: MIT */
/*
 * Reading ELF files that nobody vouches for. Both classes and both byte orders; every offset and
 * count is checked against the file's size before it is used, so a bad file gives an error or
 * empty results, never a stray access. Nothing is copied: pointers into the file are valid until
 * elf_close().
 */
#ifndef FTRACE_ENGINE_ELF_FILE_H
#define FTRACE_ENGINE_ELF_FILE_H

#include <elf.h>

#include "base.h"

#define ELF_MAX_SEGMENTS	32	/* loadable ones; linkers make four to eight */
#define ELF_PATH_MAX		4096	/* PATH_MAX, which freestanding headers lack */

struct elf_segment {
	u64 vaddr, size;	/* the part that is in the file */
	const u8 *data;
	bool exec;
};

struct elf {
	const u8 *data;
	size_t size;
	bool mapped;		/* by elf_open() */
	bool wide;		/* 64-bit class */
	bool swapped;		/* the other byte order */
	u16 type, machine;
	u64 entry;		/* where the kernel or the loader jumps to */
	u32 nsections;
	u32 nsegments;		/* in the program header table */
	const u8 *shdrs, *phdrs;
	const char *names;	/* of sections */
	u64 names_size;
	u32 nloads;
	struct elf_segment load[ELF_MAX_SEGMENTS];
};

struct elf_section {
	const char *name;
	u32 type, link, info;
	u64 flags, addr, size, entsize;
	const u8 *data;		/* size bytes; NULL when the file has none (SHT_NOBITS) */
};

struct elf_symtab {
	const u8 *data;
	u32 count;
	const char *str;
	u64 str_size;
};

struct elf_symbol {
	const char *name;	/* "" when the file's number for it is bad */
	u64 value, size;
	u8 bind, type;
	u16 section;		/* SHN_UNDEF, ... */
};

struct elf_rel {
	u64 offset;
	u32 type, sym;
	u64 addend;		/* 0 in tables that have none (it stands at @offset) */
};

/*
 * Map the file. @real (may be NULL): ELF_PATH_MAX bytes for its absolute path, "" when the system
 * does not tell. -ENOEXEC: no ELF. -EIO: cut short or inconsistent. -errno of open, mmap.
 */
int elf_open(struct elf *e, const char *path, char *real);
/* The same for an image in memory, which must outlive @e. */
int elf_from_memory(struct elf *e, const void *data, size_t size);
void elf_close(struct elf *e);

/*
 * Read the program headers: @e->load. Apart, because those of separate debug files describe what
 * is not there. -EIO as above.
 */
int elf_load_segments(struct elf *e);

/* The file's bytes for address @vaddr, *@avail of them; NULL when not in any loaded segment. */
const u8 *elf_at(const struct elf *e, u64 vaddr, u64 *avail);
/* The same, in executable segments only. */
const u8 *elf_code_at(const struct elf *e, u64 vaddr, u64 *avail);

void elf_section(const struct elf *e, u32 i, struct elf_section *s);	/* i < nsections */
bool elf_find_section(const struct elf *e, const char *name, struct elf_section *s);
bool elf_find_type(const struct elf *e, u32 type, struct elf_section *s);	/* the first */

/* The symbols of table @s; count 0 when anything is wrong with it. */
void elf_symtab(const struct elf *e, const struct elf_section *s, struct elf_symtab *t);
void elf_symbol(const struct elf *e, const struct elf_symtab *t, u32 i, struct elf_symbol *sym);

/* Entries of a SHT_REL or SHT_RELA section. */
u64 elf_nrels(const struct elf *e, const struct elf_section *s);
void elf_rel(const struct elf *e, const struct elf_section *s, u64 i, struct elf_rel *rel);

/* Build id in hex, 41 bytes; "" for none (or one longer than 20 bytes, which no tool makes). */
void elf_build_id(const struct elf *e, char *hex);

/* Name and checksum of the separate debug file (.gnu_debuglink); NULL: none. */
const char *elf_debug_link(const struct elf *e, u32 *crc);

/* ---- numbers of the file at @p, which is known to be inside ---- */

struct elf_u16 { u16 v; } __attribute__((packed, may_alias));
struct elf_u32 { u32 v; } __attribute__((packed, may_alias));
struct elf_u64 { u64 v; } __attribute__((packed, may_alias));

static inline u16 elf_u16(const struct elf *e, const u8 *p)
{
	u16 v = ((const struct elf_u16 *)p)->v;

	return unlikely(e->swapped) ? __builtin_bswap16(v) : v;
}

static inline u32 elf_u32(const struct elf *e, const u8 *p)
{
	u32 v = ((const struct elf_u32 *)p)->v;

	return unlikely(e->swapped) ? __builtin_bswap32(v) : v;
}

static inline u64 elf_u64(const struct elf *e, const u8 *p)
{
	u64 v = ((const struct elf_u64 *)p)->v;

	return unlikely(e->swapped) ? __builtin_bswap64(v) : v;
}

/* An address-sized number. */
static inline u64 elf_word(const struct elf *e, const u8 *p)
{
	return likely(e->wide) ? elf_u64(e, p) : elf_u32(e, p);
}

static inline u32 elf_word_size(const struct elf *e)
{
	return e->wide ? 8 : 4;
}

#endif /* FTRACE_ENGINE_ELF_FILE_H */
