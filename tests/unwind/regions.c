/* SPDX-License-Identifier: MIT */
/* Where the stubs are: what dl_iterate_phdr() shows under the name [ftrace]. */
#include <link.h>
#include <string.h>

#include "stubs.h"

#define MAX_REGIONS	64
#define STUB_SIZE	64

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

int stub_offset(unsigned long pc)
{
	for (int i = 0; i < nregions; i++)
		if (pc - regions[i].start < regions[i].size)
			return (int)(pc % STUB_SIZE);
	return -1;
}
