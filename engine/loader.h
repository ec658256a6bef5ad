/* SPDX-License-Identifier: MIT */
/*
 * What the dynamic loader says of itself and of what it has loaded. Referred to weakly: another C
 * library's loader (musl) has no such symbol, and the library must not keep its programs from running
 * when it is preloaded into them.
 */
#ifndef FTRACE_ENGINE_LOADER_H
#define FTRACE_ENGINE_LOADER_H

#include <link.h>

#include "base.h"

extern struct r_debug _r_debug __attribute__((weak));

/* NULL: there is no loader (a static program), or none that we know. */
static inline const struct r_debug *ftrace_loader(void)
{
	return &_r_debug;
}

/* The first of the loaded objects, NULL: not known. */
static inline const struct link_map *ftrace_loaded_objects(void)
{
	return ftrace_loader() ? ftrace_loader()->r_map : NULL;
}

/*
 * Where the program was loaded whose headers are at @phdr. A static-pie one may have no PT_PHDR; its headers are in the
 * first page of the segment that begins with the file.
 */
static inline unsigned long ftrace_program_base(const ElfW(Phdr) *phdr, unsigned long phnum)
{
	unsigned long base = 0;

	for (unsigned long i = 0; phdr && i < phnum; i++) {
		if (phdr[i].p_type == PT_PHDR)
			return (unsigned long)phdr - phdr[i].p_vaddr;
		if (phdr[i].p_type == PT_LOAD && !phdr[i].p_offset)
			base = ALIGN_DOWN((unsigned long)phdr, FT_PAGE_SIZE) - phdr[i].p_vaddr;
	}
	return base;
}

/* Was @map linked with the library? Then it is here whether or not anything is recorded. */
static inline bool ftrace_links_library(const struct link_map *map)
{
	const char *strings = NULL;
	const ElfW(Dyn) *d;

	for (d = map->l_ld; d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_STRTAB)
			strings = (const char *)d->d_un.d_ptr;
	/* Not every loader makes it absolute (the vdso's is not). */
	if ((unsigned long)strings < map->l_addr)
		return false;
	for (d = map->l_ld; strings && d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_NEEDED &&
		    ft_starts_with(strings + d->d_un.d_val, "libftrace.so"))
			return true;
	return false;
}

/*
 * Called, when the agent has set it, behind each change of the loader's list, by the thread that loads or unloads, which
 * holds the loader's lock and none of ours. Objects that came are neither relocated nor initialised.
 */
extern FTRACE_INTERNAL void (*ftrace_objects_changed)(void);

#endif /* FTRACE_ENGINE_LOADER_H */
