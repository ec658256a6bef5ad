/* SPDX-License-Identifier: MIT */
/* Where the stubs are: what dl_iterate_phdr() shows under the name [ftrace]. */
#include <link.h>
#include <string.h>

#include "stubs.h"

#define MAX_REGIONS	64
#define STUB_SIZE	64
#define CHUNK_SIZE	65536		/* of stubs, or their data: a region has any number of these */
#define PAGE_SIZE	4096
#define TRAMPOLINE_SIZE	320

static struct {
	unsigned long start, size;
} regions[MAX_REGIONS];
static int nregions;

static int look(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	(void)data;
	if (strcmp(info->dlpi_name, "[ftrace]"))
		return 0;
	for (int i = 0; i < info->dlpi_phnum && nregions < MAX_REGIONS; i++) {
		if (info->dlpi_phdr[i].p_type != PT_LOAD)
			continue;
		regions[nregions].start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		regions[nregions++].size = info->dlpi_phdr[i].p_memsz;
	}
	return 0;
}

void stubs_look(void)
{
	nregions = 0;
	dl_iterate_phdr(look, NULL);
}

static int region_of(unsigned long pc)
{
	for (int i = 0; i < nregions; i++)
		if (pc - regions[i].start < regions[i].size)
			return i;
	return -1;
}

int stub_offset(unsigned long pc)
{
	int i = region_of(pc);

	return i >= 0 && regions[i].size % CHUNK_SIZE == 0 ? (int)(pc % STUB_SIZE) : -1;
}

int trampoline_offset(unsigned long pc)
{
	int i = region_of(pc);

	return i >= 0 && regions[i].size % CHUNK_SIZE ? (int)(pc % PAGE_SIZE % TRAMPOLINE_SIZE) : -1;
}
