/* SPDX-License-Identifier: MIT */
/*
 * Files with damage, for the fuzzers of what reads ELF files. A file of one program: it defines what stands in
 * for mem.c, and for elf_open() and elf_close() (linked with --wrap), so that a read or write out of
 * bounds of a file or of a buffer meets the sanitizer.
 */
#ifndef FTRACE_TESTS_DAMAGE_H
#define FTRACE_TESTS_DAMAGE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/elf-file.h"

/* ---- what the finder gets instead of mem.c and mappings ---- */

void *ft_alloc(size_t size)
{
	return calloc(1, size ? size : 1);
}

void ft_free(void *p, size_t size)
{
	free(p);
}

void *ft_mmap(void *addr, size_t len, int prot, int flags, int fd, u64 off)
{
	return (void *)arch_mmap(addr, len, prot, flags, fd, off);
}

static const u8 *image;		/* the damaged file, which has no name */
static size_t image_size;
static const char *image_path;

int __real_elf_open(struct elf *e, const char *path, char *real);
int __wrap_elf_open(struct elf *e, const char *path, char *real);
void __real_elf_close(struct elf *e);
void __wrap_elf_close(struct elf *e);

int __wrap_elf_open(struct elf *e, const char *path, char *real)
{
	if (path != image_path)		/* a separate debug file, sound */
		return __real_elf_open(e, path, real);
	if (real)
		snprintf(real, ELF_PATH_MAX, "/fuzz/%s", "image");
	return elf_from_memory(e, image, image_size);
}

void __wrap_elf_close(struct elf *e)
{
	__real_elf_close(e);
}

/* ---- damage ---- */

static unsigned long long state;

static unsigned long long rnd(unsigned long long below)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 33) % below;
}

/* Numbers that programs get wrong. */
static unsigned long long odd_number(size_t size)
{
	static const unsigned long long odd[] = { 0, 1, 2, 3, 7, 8, 0x7f, 0xff, 0x7fff, 0xffff,
		0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffffull, ~0ull, ~7ull };

	switch (rnd(3)) {
	case 0:
		return odd[rnd(ARRAY_SIZE(odd))];
	case 1:
		return size - 4 + rnd(8);
	}
	return state;
}

/* Where the headers and tables are: damage there means more than in code. */
static size_t place(const u8 *d, size_t size)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)d;
	const Elf64_Shdr *sh;
	size_t i, at;

	if (size < sizeof(*eh) || eh->e_shoff > size || eh->e_shoff % 8 || eh->e_shnum == 0 ||
	    eh->e_shoff + eh->e_shnum * sizeof(*sh) > size)
		return rnd(size);
	switch (rnd(4)) {
	case 0:
		return rnd(sizeof(*eh) + 14 * sizeof(Elf64_Phdr)) % size;
	case 1:
		return eh->e_shoff + rnd(eh->e_shnum * sizeof(*sh));
	case 2:		/* inside a random section */
		sh = (const Elf64_Shdr *)(d + eh->e_shoff);
		i = rnd(eh->e_shnum);
		if (sh[i].sh_type == SHT_NOBITS || !sh[i].sh_size || sh[i].sh_offset > size)
			break;
		at = sh[i].sh_offset + rnd(sh[i].sh_size);
		return at < size ? at : rnd(size);
	}
	return rnd(size);
}

static size_t damage(u8 *d, size_t size)
{
	unsigned int n = 1 + rnd(4);

	while (n--) {
		size_t at = place(d, size), len = 1 + rnd(8);
		unsigned long long v = odd_number(size);

		switch (rnd(8)) {
		case 0:
			d[at] ^= 1 << rnd(8);
			break;
		case 1:
			d[at] = v;
			break;
		case 2:
			size = 1 + rnd(size);
			break;
		case 3:		/* bytes from elsewhere in the file */
			if (at + 64 <= size)
				memmove(d + at, d + rnd(size - 63), 64);
			break;
		default:	/* a number, aligned as numbers are */
			at &= ~(len > 4 ? 7ull : 3ull);
			len = len > 4 ? 8 : 4;
			if (at + len <= size)
				memcpy(d + at, &v, len);
		}
	}
	return size;
}

#endif /* FTRACE_TESTS_DAMAGE_H */
