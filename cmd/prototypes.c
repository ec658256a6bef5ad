/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/prototypes.h"
#include "engine/elf-file.h"
#include "engine/symbols.h"

/* Is it one of those that the table of the C library's functions is about? */
static bool is_libc(const char *path)
{
	static const char *const names[] = {
		"libc.so*", "libc-*.so", "libm.so*", "libm-*.so", "libpthread.so*", "libpthread-*.so", "libdl.so*",
		"libdl-*.so", "librt.so*", "librt-*.so",
	};
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!fnmatch(names[i], base, 0))
			return true;
	return false;
}

int cmd_prototypes_open(struct cmd_prototypes *p, const char *path)
{
	struct elf e;

	memset(p, 0, sizeof(*p));
	if (elf_open(&e, path, NULL))
		return -ENOEXEC;
	p->abi = proto_abi(e.machine, e.wide);
	elf_close(&e);
	p->is_libc = is_libc(path);
	p->why = "the calling convention of its machine is not known here";
	if (p->abi)
		p->dwarf = proto_dwarf_open(path, &p->why);
	return 0;
}

void cmd_prototypes_close(struct cmd_prototypes *p)
{
	proto_dwarf_close(p->dwarf);
	proto_free(&p->arena);
}

/* By any of its names: the one that is shown may be __open. */
static struct proto *find_in_table(struct cmd_prototypes *p, struct symbols *symbols, uint64_t addr)
{
	for (u32 i = symbols_lower(symbols, addr); i < symbols->n && symbols->sym[i].addr == addr; i++) {
		const char *name = symbols->sym[i].name;
		const struct proto *proto = proto_libc(&p->arena, p->abi,
						       proto_format(&p->arena, "%.*s", (int)symbols_name_length(name), name));

		if (proto)
			return (struct proto *)proto;
	}
	return NULL;
}

void cmd_prototypes_find(struct cmd_prototypes *p, struct symbols *symbols, struct proto_wanted *wanted, size_t n)
{
	if (p->dwarf)
		proto_dwarf_find(p->dwarf, &p->arena, wanted, n);
	/* The table has names for flags, where debug information has an int. */
	for (size_t i = 0; i < n && p->is_libc && p->abi; i++) {
		struct proto *proto = find_in_table(p, symbols, wanted[i].addr);

		if (proto)
			wanted[i].proto = proto;
	}
}
