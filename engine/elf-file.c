/* SPDX-License-Identifier: MIT */
/* Reading ELF files; see elf-file.h. */
#include <fcntl.h>
#include <linux/mman.h>
#include <linux/stat.h>

#include "elf-file.h"

/* A structure's field in either class: its offset in this file's. */
#define AT(e, p, kind, field)							\
	((p) + ((e)->wide ? offsetof(Elf64_##kind, field) : offsetof(Elf32_##kind, field)))
#define SIZEOF(e, kind) ((e)->wide ? sizeof(Elf64_##kind) : sizeof(Elf32_##kind))

static bool inside(const struct elf *e, u64 off, u64 len)
{
	return off <= e->size && len <= e->size - off;
}

/* Where a header puts its section's bytes; false: not in the file. */
static bool section_range(const struct elf *e, const u8 *h, u64 *off, u64 *size)
{
	*off = elf_word(e, AT(e, h, Shdr, sh_offset));
	*size = elf_word(e, AT(e, h, Shdr, sh_size));
	return inside(e, *off, *size);
}

static const u8 *section_header(const struct elf *e, u32 i)
{
	return e->shdrs + (size_t)i * SIZEOF(e, Shdr);
}

static bool section_has_bytes(const struct elf *e, const u8 *h)
{
	u32 type = elf_u32(e, AT(e, h, Shdr, sh_type));

	return type != SHT_NOBITS && type != SHT_NULL;
}

static int read_sections(struct elf *e)
{
	u64 off = elf_word(e, AT(e, e->data, Ehdr, e_shoff));
	u32 count = elf_u16(e, AT(e, e->data, Ehdr, e_shnum));
	u32 names = elf_u16(e, AT(e, e->data, Ehdr, e_shstrndx));
	u64 start, size;
	u32 i;

	if (!off)
		return 0;	/* no section headers: an odd file, but a sound one */
	if (elf_u16(e, AT(e, e->data, Ehdr, e_shentsize)) != SIZEOF(e, Shdr) ||
	    !inside(e, off, SIZEOF(e, Shdr)))
		return -EIO;
	e->shdrs = e->data + off;
	/* Numbers that do not fit the ELF header stand in the first section header. */
	if (!count) {
		u64 large = elf_word(e, AT(e, e->shdrs, Shdr, sh_size));

		if (large > UINT32_MAX)
			return -EIO;
		count = (u32)large;
	}
	if (names == SHN_XINDEX)
		names = elf_u32(e, AT(e, e->shdrs, Shdr, sh_link));
	if (!inside(e, off, (u64)count * SIZEOF(e, Shdr)))
		return -EIO;
	e->nsections = count;
	for (i = 0; i < count; i++)
		if (section_has_bytes(e, section_header(e, i)) &&
		    !section_range(e, section_header(e, i), &start, &size) && size)
			return -EIO;

	if (names && names < count && section_has_bytes(e, section_header(e, names)) &&
	    section_range(e, section_header(e, names), &start, &size) && size &&
	    !e->data[start + size - 1]) {
		e->names = (const char *)e->data + start;
		e->names_size = size;
	}
	return 0;
}

int elf_from_memory(struct elf *e, const void *data, size_t size)
{
	const u16 one = 1;
	bool big_host = !*(const u8 *)&one;
	const u8 *d = data;

	ft_memset(e, 0, sizeof(*e));
	if (size < EI_NIDENT || ft_memcmp(d, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	if ((d[EI_CLASS] != ELFCLASS64 && d[EI_CLASS] != ELFCLASS32) ||
	    (d[EI_DATA] != ELFDATA2LSB && d[EI_DATA] != ELFDATA2MSB))
		return -ENOEXEC;
	e->data = d;
	e->size = size;
	e->wide = d[EI_CLASS] == ELFCLASS64;
	e->swapped = (d[EI_DATA] == ELFDATA2MSB) != big_host;
	if (size < SIZEOF(e, Ehdr))
		return -EIO;
	e->type = elf_u16(e, AT(e, d, Ehdr, e_type));
	e->entry = elf_word(e, AT(e, d, Ehdr, e_entry));
	e->machine = elf_u16(e, AT(e, d, Ehdr, e_machine));
	return read_sections(e);
}

static int file_size(int fd, u64 *size)
{
	struct statx st;
	long ret = arch_syscall(SYS_statx, fd, (long)"", AT_EMPTY_PATH,
				STATX_SIZE | STATX_TYPE, (long)&st, 0);

	if (ret < 0)
		return (int)ret;
	if ((st.stx_mode & 0170000) != 0100000)
		return -ENOEXEC;	/* only a regular file can be mapped and be a program */
	*size = st.stx_size;
	return 0;
}

/* What the kernel calls the open file: absolute, without links. */
static void real_path(int fd, char *real)
{
	char link[32];
	long n;

	ft_snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = arch_syscall(SYS_readlinkat, AT_FDCWD, (long)link, (long)real, ELF_PATH_MAX - 1, 0, 0);
	real[n > 0 && real[0] == '/' ? n : 0] = '\0';
}

int elf_open(struct elf *e, const char *path, char *real)
{
	const void *data = NULL;
	int fd, ret;
	u64 size;

	ft_memset(e, 0, sizeof(*e));
	/* Not blocking: a fifo in the place of a file must not hang us. */
	fd = ft_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return fd;
	ret = file_size(fd, &size);
	if (!ret && size < EI_NIDENT)
		ret = -ENOEXEC;
	if (!ret && size > SIZE_MAX / 2)
		ret = -EFBIG;
	if (!ret) {
		data = ft_mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (ft_is_err(data))
			ret = (int)(long)data;
	}
	if (!ret && real)
		real_path(fd, real);
	ft_close(fd);
	if (ret)
		return ret;
	ret = elf_from_memory(e, data, (size_t)size);
	e->data = data;
	e->size = (size_t)size;
	e->mapped = true;
	if (ret)
		elf_close(e);
	return ret;
}

void elf_close(struct elf *e)
{
	if (e->mapped)
		arch_syscall(SYS_munmap, (long)e->data, (long)e->size, 0, 0, 0, 0);
	ft_memset(e, 0, sizeof(*e));
}

int elf_load_segments(struct elf *e)
{
	u64 off = elf_word(e, AT(e, e->data, Ehdr, e_phoff));
	u32 i, count = elf_u16(e, AT(e, e->data, Ehdr, e_phnum));

	if (count == PN_XNUM && e->nsections)
		count = elf_u32(e, AT(e, e->shdrs, Shdr, sh_info));
	if (!off || !count)
		return 0;
	if (elf_u16(e, AT(e, e->data, Ehdr, e_phentsize)) != SIZEOF(e, Phdr) ||
	    !inside(e, off, (u64)count * SIZEOF(e, Phdr)))
		return -EIO;
	e->phdrs = e->data + off;
	e->nsegments = count;
	for (i = 0; i < count; i++) {
		const u8 *h = e->phdrs + (size_t)i * SIZEOF(e, Phdr);
		struct elf_segment *s = &e->load[e->nloads];
		u64 start = elf_word(e, AT(e, h, Phdr, p_offset));
		u64 size = elf_word(e, AT(e, h, Phdr, p_filesz));

		if (elf_u32(e, AT(e, h, Phdr, p_type)) != PT_LOAD || !size)
			continue;
		if (!inside(e, start, size) || e->nloads == ELF_MAX_SEGMENTS)
			return -EIO;
		s->vaddr = elf_word(e, AT(e, h, Phdr, p_vaddr));
		s->size = size;
		s->data = e->data + start;
		s->exec = elf_u32(e, AT(e, h, Phdr, p_flags)) & PF_X;
		if (s->vaddr + size < s->vaddr)
			return -EIO;
		e->nloads++;
	}
	return 0;
}

static const u8 *at(const struct elf *e, u64 vaddr, u64 *avail, bool only_code)
{
	u32 i;

	for (i = 0; i < e->nloads; i++) {
		const struct elf_segment *s = &e->load[i];

		if (vaddr - s->vaddr < s->size && (s->exec || !only_code)) {
			*avail = s->size - (vaddr - s->vaddr);
			return s->data + (vaddr - s->vaddr);
		}
	}
	*avail = 0;
	return NULL;
}

const u8 *elf_at(const struct elf *e, u64 vaddr, u64 *avail)
{
	return at(e, vaddr, avail, false);
}

const u8 *elf_code_at(const struct elf *e, u64 vaddr, u64 *avail)
{
	return at(e, vaddr, avail, true);
}

static const char *string_at(const char *strings, u64 size, u64 off)
{
	return off < size ? strings + off : "";
}

void elf_section(const struct elf *e, u32 i, struct elf_section *s)
{
	const u8 *h = section_header(e, i);
	u64 off;

	s->name = string_at(e->names, e->names_size, elf_u32(e, AT(e, h, Shdr, sh_name)));
	s->type = elf_u32(e, AT(e, h, Shdr, sh_type));
	s->link = elf_u32(e, AT(e, h, Shdr, sh_link));
	s->info = elf_u32(e, AT(e, h, Shdr, sh_info));
	s->flags = elf_word(e, AT(e, h, Shdr, sh_flags));
	s->addr = elf_word(e, AT(e, h, Shdr, sh_addr));
	s->entsize = elf_word(e, AT(e, h, Shdr, sh_entsize));
	s->data = NULL;
	if (section_has_bytes(e, h) && section_range(e, h, &off, &s->size))
		s->data = e->data + off;
	else
		s->size = elf_word(e, AT(e, h, Shdr, sh_size));
}

bool elf_find_section(const struct elf *e, const char *name, struct elf_section *s)
{
	u32 i;

	for (i = 0; i < e->nsections; i++) {
		elf_section(e, i, s);
		if (ft_strcmp(s->name, name) == 0)
			return true;
	}
	return false;
}

bool elf_find_type(const struct elf *e, u32 type, struct elf_section *s)
{
	u32 i;

	for (i = 0; i < e->nsections; i++) {
		elf_section(e, i, s);
		if (s->type == type)
			return true;
	}
	return false;
}

void elf_symtab(const struct elf *e, const struct elf_section *s, struct elf_symtab *t)
{
	struct elf_section str;
	u64 count = s->size / SIZEOF(e, Sym);

	ft_memset(t, 0, sizeof(*t));
	if (!s->data || s->link >= e->nsections || count > UINT32_MAX)
		return;
	t->data = s->data;
	t->count = (u32)count;
	elf_section(e, s->link, &str);
	/* Ends in a NUL, or any name could run past it. */
	if (str.data && str.size && !str.data[str.size - 1]) {
		t->str = (const char *)str.data;
		t->str_size = str.size;
	}
}

void elf_symbol(const struct elf *e, const struct elf_symtab *t, u32 i, struct elf_symbol *sym)
{
	const u8 *p = t->data + (size_t)i * SIZEOF(e, Sym);
	u8 info = *AT(e, p, Sym, st_info);

	sym->name = string_at(t->str, t->str_size, elf_u32(e, AT(e, p, Sym, st_name)));
	sym->value = elf_word(e, AT(e, p, Sym, st_value));
	sym->size = elf_word(e, AT(e, p, Sym, st_size));
	sym->section = elf_u16(e, AT(e, p, Sym, st_shndx));
	sym->bind = info >> 4;
	sym->type = info & 15;
}

static size_t rel_size(const struct elf *e, const struct elf_section *s)
{
	return s->type == SHT_RELA ? SIZEOF(e, Rela) : SIZEOF(e, Rel);
}

u64 elf_nrels(const struct elf *e, const struct elf_section *s)
{
	return s->data ? s->size / rel_size(e, s) : 0;
}

void elf_rel(const struct elf *e, const struct elf_section *s, u64 i, struct elf_rel *rel)
{
	const u8 *p = s->data + (size_t)i * rel_size(e, s);
	u64 info = elf_word(e, AT(e, p, Rela, r_info));

	rel->offset = elf_word(e, AT(e, p, Rela, r_offset));
	rel->sym = e->wide ? (u32)(info >> 32) : (u32)info >> 8;
	rel->type = e->wide ? (u32)info : (u32)info & 0xff;
	rel->addend = 0;
	if (s->type == SHT_RELA && e->wide)
		rel->addend = elf_u64(e, p + offsetof(Elf64_Rela, r_addend));
	else if (s->type == SHT_RELA)
		rel->addend = elf_u32(e, p + offsetof(Elf32_Rela, r_addend));
}

static bool build_id_note(const struct elf *e, const struct elf_section *s, char *hex)
{
	static const char digits[] = "0123456789abcdef";
	u64 off = 0;

	while (s->size - off >= sizeof(Elf32_Nhdr)) {
		const u8 *n = s->data + off;
		u64 namesz = elf_u32(e, n), descsz = elf_u32(e, n + 4);
		u64 desc = sizeof(Elf32_Nhdr) + ALIGN_UP(namesz, 4);
		u64 i, next = desc + ALIGN_UP(descsz, 4);

		if (desc > s->size - off || descsz > s->size - off - desc)
			return false;
		if (elf_u32(e, n + 8) == NT_GNU_BUILD_ID && namesz == 4 && descsz <= 20 &&
		    ft_memcmp(n + 12, "GNU", 4) == 0) {
			for (i = 0; i < descsz; i++) {
				hex[2 * i] = digits[n[desc + i] >> 4];
				hex[2 * i + 1] = digits[n[desc + i] & 15];
			}
			hex[2 * i] = '\0';
			return true;
		}
		if (next > s->size - off)
			return false;
		off += next;
	}
	return false;
}

void elf_build_id(const struct elf *e, char *hex)
{
	struct elf_section s;
	u32 i;

	hex[0] = '\0';
	for (i = 0; i < e->nsections; i++) {
		elf_section(e, i, &s);
		if (s.type == SHT_NOTE && s.data && build_id_note(e, &s, hex))
			return;
	}
}

const char *elf_debug_link(const struct elf *e, u32 *crc)
{
	struct elf_section s;
	u64 len = 0, at;

	if (!elf_find_section(e, ".gnu_debuglink", &s) || !s.data)
		return NULL;
	while (len < s.size && s.data[len])
		len++;
	at = ALIGN_UP(len + 1, 4);
	if (!len || at > s.size || s.size - at < 4)
		return NULL;
	*crc = elf_u32(e, s.data + at);
	return (const char *)s.data;
}
