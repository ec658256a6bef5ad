/* SPDX-License-Identifier: MIT */
/* What the process map says of events, and of addresses. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/event-map.h"
#include "reader/events.h"

/* ---- e lines ---- */

static int is_identifier(const char *s)
{
	if (!*s || (*s >= '0' && *s <= '9'))
		return 0;
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] == 0;
}

static int parse_type(struct trace_field *field, char *type)
{
	static const char kinds[] = "usx";
	char *bracket = strchr(type, '['), *end;
	const char *kind;

	if (bracket) {
		unsigned long n = strtoul(bracket + 1, &end, 10);

		if (strcmp(end, "]") || !n || n > FTRACE_EVENT_MAX_ARRAY)
			return -EINVAL;
		field->count = n;
		*bracket = 0;
	}
	if (!strcmp(type, "string")) {
		field->type = TRACE_FIELD_STRING;
		return 0;
	}
	field->size = 8;
	if (!strcmp(type, "symbol") || !strcmp(type, "symstr")) {
		field->type = TRACE_FIELD_SYMBOL;
		return 0;
	}
	if (!strcmp(type, "char")) {
		field->type = TRACE_FIELD_CHAR;
		field->size = 1;
		return 0;
	}
	field->size = strtoul(type + 1, &end, 10) / 8;
	kind = *type ? strchr(kinds, *type) : NULL;
	if (*end || (field->size != 1 && field->size != 2 && field->size != 4 && field->size != 8))
		return -EINVAL;
	if (*type == 'f' && field->size >= 4)
		field->type = TRACE_FIELD_FLOAT;
	else if (kind)
		field->type = TRACE_FIELD_UNSIGNED + (kind - kinds);
	else
		return -EINVAL;
	return 0;
}

static int parse_fields(struct trace_event_class *class, char *p)
{
	size_t n = 1;

	for (char *c = p; *c; c++)
		n += *c == ' ';
	if (!*p)
		return 0;
	if (n > FTRACE_EVENT_MAX_ARGS)
		return -EINVAL;
	class->fields = calloc(n, sizeof(*class->fields));
	if (!class->fields)
		return -ENOMEM;
	for (char *word = p, *next; word; word = next) {
		char *equals = strchr(word, '=');

		next = strchr(word, ' ');
		if (next)
			*next++ = 0;
		if (!equals || (next && equals > next))
			return -EINVAL;
		*equals = 0;
		if (!is_identifier(word) || parse_type(&class->fields[class->nfields], equals + 1))
			return -EINVAL;
		class->fields[class->nfields++].name = word;
	}
	return 0;
}

/* "ID KIND GROUP NAME [FIELD=TYPE]..." */
static int parse_class(struct trace_event_class *class, char *p)
{
	char *words[4], *end;

	for (int i = 0; i < 4; i++) {
		words[i] = p;
		p += strcspn(p, " ");
		if (*p)
			*p++ = 0;
		if (!*words[i])
			return -EINVAL;
	}
	class->id = strtoul(words[0], &end, 16);
	if (*end || class->id < FTRACE_EVENT_FIRST || class->id > FTRACE_EVENT_LAST || class->id & 1)
		return -EINVAL;
	class->kind = words[1][0];
	if (!strchr("pfr", class->kind) || words[1][1])
		return -EINVAL;
	class->group = words[2];
	class->name = words[3];
	if (!is_identifier(class->group) || !is_identifier(class->name))
		return -EINVAL;
	return parse_fields(class, p);
}

int trace_map_parse_event(struct trace_map *map, char *p, uint64_t end)
{
	struct trace_event_class class = { .end = end }, *classes;
	int err = parse_class(&class, p);

	if (!err) {
		/* Readers hold pointers to none of them yet. */
		classes = reallocarray(map->events, map->nevents + 1, sizeof(*classes));
		if (classes) {
			map->events = classes;
			classes[map->nevents++] = class;
			return 0;
		}
		err = -ENOMEM;
	}
	free(class.fields);
	return err;
}

void trace_map_free_events(struct trace_map *map)
{
	for (size_t i = 0; i < map->nevents; i++)
		free(map->events[i].fields);
	free(map->events);
	free(map->addresses);
	map->events = NULL;
	map->nevents = 0;
	map->addresses = NULL;
}

static struct trace_event_class stack_class = {
	.id = FTRACE_EVENT_STACK, .kind = 's', .group = "ftrace", .name = "stack",
};

const struct trace_event_class *trace_map_event(const struct trace_map *map, uint32_t id)
{
	uint64_t limit = UINT64_MAX;

	if (id == FTRACE_EVENT_STACK)
		return &stack_class;
	for (; map; map = map->parent) {
		/* The last one: an id means one thing only, but that in each of two children of a fork. */
		for (size_t i = map->nevents; i--;)
			if (map->events[i].id == id && map->events[i].end <= limit)
				return &map->events[i];
		if (limit > map->header.inherited)
			limit = map->header.inherited;
	}
	return NULL;
}

void trace_map_each_event(const struct trace_map *map,
			  void (*each)(const struct trace_event_class *class, void *data), void *data)
{
	uint64_t limit = UINT64_MAX;

	for (; map; map = map->parent) {
		for (size_t i = 0; i < map->nevents; i++)
			if (map->events[i].end <= limit)
				each(&map->events[i], data);
		if (limit > map->header.inherited)
			limit = map->header.inherited;
	}
}

/* ---- addresses ---- */

struct trace_address {
	uint64_t lo, size;
	uint32_t site;
};

static int by_address(const void *a, const void *b)
{
	const struct trace_address *x = a, *y = b;

	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

static int index_addresses(struct trace_map *map)
{
	uint32_t end = trace_map_end(map);

	map->addresses = calloc(end, sizeof(*map->addresses));
	if (!map->addresses)
		return -1;
	for (uint32_t id = 1; id < end; id++) {
		const struct trace_site *site = trace_map_site(map, id);
		const struct trace_object *object = site ? trace_map_site_object(map, id) : NULL;

		if (object)
			map->addresses[map->naddresses++] = (struct trace_address){
				object->base + site->vaddr, site->size, id,
			};
	}
	qsort(map->addresses, map->naddresses, sizeof(*map->addresses), by_address);
	return 0;
}

/* The last site at or below @address; NULL: none. */
static const struct trace_address *address_below(const struct trace_map *map, uint64_t address)
{
	size_t lo = 0, hi = map->naddresses;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (map->addresses[mid].lo <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &map->addresses[lo - 1] : NULL;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *trace_map_symbol(const struct trace_map *map, uint64_t address, int raw, char *buf,
			     size_t size)
{
	const struct trace_address *a;
	const struct trace_object *object;
	unsigned long long off;

	/* What is kept in the map changes, the map does not. */
	if (map && !map->addresses && index_addresses((struct trace_map *)map))
		map = NULL;
	a = map ? address_below(map, address) : NULL;
	if (!a) {
		snprintf(buf, size, "0x%llx", (unsigned long long)address);
		return buf;
	}
	off = address - a->lo;
	if (off < a->size || !off) {
		const char *name = trace_map_name(map, a->site, raw);

		if (off)
			snprintf(buf, size, "%s+0x%llx", name, off);
		else
			snprintf(buf, size, "%s", name);
		return buf;
	}
	/* Behind a function, but in the object's text: before the last one of the same object. */
	object = trace_map_site_object(map, a->site);
	if (object && a + 1 < map->addresses + map->naddresses &&
	    trace_map_site_object(map, a[1].site) == object)
		snprintf(buf, size, "%s+0x%llx", base_name(object->path),
			 (unsigned long long)(address - object->base));
	else
		snprintf(buf, size, "0x%llx", (unsigned long long)address);
	return buf;
}
