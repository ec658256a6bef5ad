/* SPDX-License-Identifier: MIT */
/*
 * The process map: which function a site id means, in which object, and what could not be traced.
 * A child of fork shares its parent's text up to the fork; look-ups follow that chain.
 */
#ifndef TRACE_MAP_H
#define TRACE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include <ftrace/trace-format.h>

struct trace_object {
	uint32_t id;
	uint64_t base;		/* load address */
	const char *buildid;	/* hex, "-" for none */
	const char *path;
};

struct trace_site {
	const char *name;	/* as the symbol table has it; NULL: no such site */
	char *shown;		/* demangled, printable; made when first asked for */
	uint64_t vaddr;		/* address of the entry within the object */
	uint64_t size;		/* bytes */
	uint64_t end;		/* of its line in the text: what is inherited ends somewhere */
	uint32_t object;	/* index into objects of the same map */
};

struct trace_event_class;
struct trace_address;

struct trace_refusal {
	uint32_t object;	/* object id */
	uint64_t count;
	const char *reason;
};

struct trace_map {
	struct ftrace_map_header header;
	const struct trace_map *parent;	/* NULL: inherits nothing */
	char *text;
	struct trace_object *objects;
	size_t nobjects;
	struct trace_site *sites;	/* of ids first_site .. first_site + nsites - 1 */
	uint32_t first_site;
	uint32_t nsites;
	struct trace_refusal *refusals;
	struct trace_event_class *events;	/* events.h */
	size_t nevents;
	struct trace_address *addresses;	/* of sites, sorted; made when first needed */
	size_t naddresses;
	size_t nrefusals;
};

/*
 * Read only the header of DIRFD/@name. Returns 0; -ENOENT; -EINVAL if it is no process map; or
 * another negative errno. Says nothing. The map of a machine with the other byte order is turned round,
 * but for its magic number (byteorder.h).
 */
int trace_map_read_header(struct ftrace_map_header *header, int dirfd, const char *name);

/*
 * Read DIRFD/@name. @parent is the parent's map if header.inherited is not 0 and it could be
 * read; it must live as long as @map. @what names the map in messages. Damaged lines are left out
 * with a warning. Returns 0 or a negative errno, after having said why.
 */
int trace_map_read(struct trace_map *map, int dirfd, const char *name,
		   const struct trace_map *parent, const char *what);
void trace_map_free(struct trace_map *map);

/* The site, looked up here and then in what was inherited; NULL if the map does not know it. */
struct trace_site *trace_map_site(const struct trace_map *map, uint32_t id);

/* The object of that site, NULL if unknown. */
const struct trace_object *trace_map_site_object(const struct trace_map *map, uint32_t id);

/* Object by id; the latest of that id. NULL if unknown. */
const struct trace_object *trace_map_object(const struct trace_map *map, uint32_t id);

/* One more than the largest site id the map knows. */
uint32_t trace_map_end(const struct trace_map *map);

/*
 * The name to show for @id: demangled unless @raw, control characters replaced; "[unknown ID]"
 * if the map does not know it (that one is in a static buffer, good for the next four calls).
 */
const char *trace_map_name(const struct trace_map *map, uint32_t id, int raw);

#endif /* TRACE_MAP_H */
