/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/list-args.h"
#include "cmd/prototypes.h"
#include "engine/symbols.h"
#include "reader/demangle.h"

void list_args_add(struct list_args *l, const char *name, uint64_t vaddr)
{
	if (l->n == l->capacity) {
		size_t capacity = l->capacity ? l->capacity * 2 : 256;
		struct list_args_function *list = reallocarray(l->list, capacity, sizeof(*list));

		if (!list)
			exit(cmd_error("list: no memory"));
		l->list = list;
		l->capacity = capacity;
	}
	l->list[l->n].name = strdup(name);
	l->list[l->n].vaddr = vaddr;
	if (!l->list[l->n++].name)
		exit(cmd_error("list: no memory"));
}

static void print_event(const char *title, const struct proto_event *event)
{
	if (event->fetch[0])
		printf("\t%s: %s\n\t\tshown as %s\n", title, event->fetch, event->shown);
}

/* What debug information calls things need not be fit for a terminal. */
static void print_clean(const struct proto *proto, const char *name)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		exit(cmd_error("list: no memory"));
	proto_print(out, proto, name);
	if (fclose(out))
		exit(cmd_error("list: no memory"));
	for (char *p = text; *p; p++)
		putchar((unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p);
	free(text);
}

static void print(struct cmd_prototypes *p, struct proto_enums *enums, const struct proto_wanted *w,
		  const char *library, int events)
{
	char *name = trace_demangle(w->symbol, 0);
	struct proto_event event;

	if (!name)
		exit(cmd_error("list: no memory"));
	if (w->proto)
		print_clean(w->proto, name);
	else
		fputs(name, stdout);
	if (library)
		printf(" [%s]", library);
	putchar('\n');
	if (events && w->proto) {
		proto_call_event(p->abi, &p->arena, enums, w->proto, &event);
		print_event("call", &event);
		proto_return_event(p->abi, &p->arena, enums, w->proto, &event);
		print_event("return", &event);
	}
	free(name);
}

static int by_address(const void *a, const void *b)
{
	const struct proto_wanted *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void find(struct cmd_prototypes *p, const char *path, struct proto_wanted *wanted, size_t n)
{
	char real[ELF_PATH_MAX], build_id[41];
	struct symbols symbols = { 0 };
	struct elf e;

	if (elf_open(&e, path, real))
		return;
	elf_build_id(&e, build_id);
	if (!symbols_load(&symbols, &e, real, build_id)) {
		qsort(wanted, n, sizeof(*wanted), by_address);
		cmd_prototypes_find(p, &symbols, wanted, n);
		symbols_unload(&symbols);
	}
	elf_close(&e);
}

void list_args_print(struct list_args *l, const char *path, const char *library, int events)
{
	struct proto_wanted *wanted = calloc(l->n + 1, sizeof(*wanted));
	struct proto_enums enums = { 0 };
	struct cmd_prototypes p;
	size_t known = 0;

	if (!wanted)
		exit(cmd_error("list: no memory"));
	for (size_t i = 0; i < l->n; i++) {
		wanted[i].symbol = l->list[i].name;
		wanted[i].addr = l->list[i].vaddr;
	}
	if (!cmd_prototypes_open(&p, path)) {
		find(&p, path, wanted, l->n);
		for (size_t i = 0; i < l->n; i++) {
			print(&p, &enums, &wanted[i], library, events);
			known += wanted[i].proto != NULL;
		}
		if (!known && l->n && !library)
			cmd_error("%s: no prototype is known: %s; compile it with -g, or install its debug symbols",
				  path, p.dwarf ? "none of these functions is in its debug information" : p.why);
		cmd_prototypes_close(&p);
	}
	for (size_t i = 0; i < l->n; i++)
		free(l->list[i].name);
	free(wanted);
	free(enums.list);
	free(l->list);
	memset(l, 0, sizeof(*l));
}
