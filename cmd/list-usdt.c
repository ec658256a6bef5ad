/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/list-usdt.h"
#include "engine/find.h"
#include "engine/symbols.h"
#include "engine/usdt-notes.h"
#include "reader/demangle.h"

struct listing {
	struct list_usdt *l;
	struct symbols symbols;
	const char *object;
};

static int wanted(const struct list_usdt *l, const char *probe)
{
	if (!*l->globs)
		return 1;
	for (char **g = l->globs; *g; g++)
		if (ftrace_glob(*g, strlen(*g), probe))
			return 1;
	return 0;
}

/* What a file has need not be fit for a terminal. */
static void put(const char *text)
{
	for (; *text; text++)
		putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

/* The function around @addr. NULL: none is known. */
static const struct func_symbol *function_at(struct symbols *s, uint64_t addr)
{
	u32 i = symbols_lower(s, addr);
	const struct func_symbol *f;

	if (i < s->n && s->sym[i].addr == addr)
		return symbols_best(s, addr);
	if (!i)
		return NULL;
	f = symbols_best(s, s->sym[i - 1].addr);
	return f && f->size && addr - f->addr >= f->size ? NULL : f;
}

static void put_place(struct listing *listing, uint64_t addr)
{
	const struct func_symbol *f = function_at(&listing->symbols, addr);
	char *raw, *shown;

	if (!f) {
		put(listing->object);
		printf("+0x%" PRIx64, addr);
		return;
	}
	raw = strndup(f->name, symbols_name_length(f->name));
	shown = raw && listing->l->demangle ? trace_demangle(raw, 0) : raw;
	if (!shown)
		exit(cmd_error("list: no memory"));
	put(shown);
	printf("+0x%" PRIx64, addr - f->addr);
	if (shown != raw)
		free(shown);
	free(raw);
}

static int print(const struct usdt_note *note, void *data)
{
	struct listing *listing = data;
	char *probe;

	listing->l->probes++;
	if (asprintf(&probe, "%s:%s", note->provider, note->name) < 0)
		exit(cmd_error("list: no memory"));
	if (wanted(listing->l, probe)) {
		put(probe);
		if (listing->l->library)
			printf(" [%s]", listing->l->library);
		fputs(" at ", stdout);
		put_place(listing, note->addr);
		if (note->semaphore)
			fputs(", semaphore", stdout);
		if (note->args[0]) {
			fputs(": ", stdout);
			put(note->args);
		}
		putchar('\n');
		listing->l->listed++;
	}
	free(probe);
	return 0;
}

int list_usdt_print(struct list_usdt *l, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct listing listing = { .l = l, .object = slash ? slash + 1 : path };
	char real[ELF_PATH_MAX], build_id[41];
	struct elf e;
	int err = elf_open(&e, path, real);

	if (err)
		return err;
	elf_build_id(&e, build_id);
	if (e.type != ET_EXEC && e.type != ET_DYN)
		err = -ENOEXEC;
	else
		err = symbols_load(&listing.symbols, &e, real, build_id);
	if (!err) {
		usdt_notes_each(&e, print, &listing);
		symbols_unload(&listing.symbols);
	}
	elf_close(&e);
	return err;
}
