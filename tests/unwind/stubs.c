/* SPDX-License-Identifier: MIT */
#include "stubs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch.h"
#include "site.h"
#include "gdb.h"
#include "unwind.h"

extern unsigned long __start___patchable_function_entries[];
extern unsigned long __stop___patchable_function_entries[];
void handle_entry(void);
void handle_exit(void);

long stubs_entered, stubs_returned;
const bool stubs_counted = true;
bool stubs_hook = true, stubs_own, stubs_replaced;
unsigned char *stubs;		/* handlers.S reads it */

static void die(const char *what)
{
	perror(what);
	exit(99);
}

/*
 * The shadow of every address a stack may have: simple, and good enough for a test. (The engine
 * maps those of known stacks.)
 */
static void map_shadow(void)
{
	static const unsigned long tops[] = {0x7f0000000000, 0x7e0000000000, 0x550000000000};

	for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
		unsigned long at = tops[i] ^ (1ul << ARCH_SHADOW_BIT);
		void *p = mmap((void *)at, 1ul << 40, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
			       -1, 0);

		if (p != (void *)at)
			die("mmap shadow");
	}
}

static void *map_chunk(unsigned long near)
{
	size_t size = 2 * FTRACE_CHUNK_CODE + 4096;

	for (long d = 0x4000000; d < 0x40000000; d += 0x1000000) {
		/* Below; above where there is no room (an executable that is not PIE). */
		unsigned long base = near & -0x100000ul;
		unsigned long at = base > 0x80000000 ? base - d : base + d;
		void *p = mmap((void *)at, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (p == (void *)at)
			return p;
		if (p != MAP_FAILED)
			munmap(p, size);
	}
	die("mmap chunk");
	return NULL;
}

void stubs_start(void)
{
	unsigned long *entries = __start___patchable_function_entries;
	size_t n = __stop___patchable_function_entries - entries;
	struct dyn_ftrace *sites;
	struct arch_patch patch[ARCH_SITE_PATCHES];

	map_shadow();
	stubs = map_chunk(entries[0]);
	sites = (struct dyn_ftrace *)(stubs + FTRACE_CHUNK_CODE);
	for (size_t i = 0; i < n; i++) {
		struct dyn_ftrace *site = &sites[i];
		unsigned long page = entries[i] & -4096ul, stub;
		static char names[FTRACE_CHUNK_SITES][32];

		snprintf(names[i], sizeof(names[i]), "site%zu", i);
		site->name = names[i];
		site->entry = handle_entry;
		site->exit = handle_exit;
		site->ip = entries[i];
		site->id = i;
		site->form = FTRACE_FORM_NOPS;
		site->len = 5;
		site->flags = FTRACE_SITE_ARMED;
		stub = (unsigned long)stubs + i * FTRACE_STUB_SIZE;
		arch_stub_write((u8 *)stub, site, stub);
		if (arch_site_arm(site, stub, patch) != 1)
			die("arm");
		if (mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC))
			die("mprotect");
		memcpy((void *)patch[0].addr, patch[0].bytes, patch[0].len);
		*(unsigned char *)site->ip = arch_site_byte(site, true);
	}
	if (mprotect(stubs, FTRACE_CHUNK_CODE, PROT_READ | PROT_EXEC))
		die("mprotect stubs");
	if (getenv("STUBS_UNKNOWN"))		/* what it would be without us */
		return;
	if (ftrace_unwind_init())
		exit(99);
	if (ftrace_unwind_add((unsigned long)stubs, FTRACE_CHUNK_CODE,
			      stubs + 2 * FTRACE_CHUNK_CODE))
		exit(99);
	ftrace_gdb_update();
	stubs_look();
}
