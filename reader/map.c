/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/byteorder.h"
#include "reader/demangle.h"
#include "reader/event-map.h"
#include "reader/map.h"
#include "reader/message.h"

#define MAX_TEXT	(1ull << 32)

static ssize_t read_at(int fd, void *buf, size_t size, off_t at)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)buf + done, size - done, at + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += n;
	}
	return done;
}

/* End the string, and let no byte of it steer a terminal. */
static void clean(char *s, size_t size)
{
	s[size - 1] = 0;
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

static int read_header(struct ftrace_map_header *header, int fd)
{
	ssize_t n = read_at(fd, header, sizeof(*header), 0);

	if (n < 0)
		return n;
	if (n == (ssize_t)sizeof(*header) && header->magic == __builtin_bswap64(FTRACE_MAP_MAGIC))
		trace_swap_map(header);
	else if (n < (ssize_t)sizeof(*header) || header->magic != FTRACE_MAP_MAGIC)
		return -EINVAL;
	clean(header->comm, sizeof(header->comm));
	clean(header->machine, sizeof(header->machine));
	clean(header->exe, sizeof(header->exe));
	return 0;
}

int trace_map_read_header(struct ftrace_map_header *header, int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int err;

	if (fd < 0)
		return -errno;
	err = read_header(header, fd);
	close(fd);
	return err;
}

/* A hexadecimal number and the space behind it; *p moves past both. */
static int take_hex(char **p, uint64_t *value)
{
	char *end;

	if (**p == ' ' || **p == '-' || **p == '+')
		return -1;
	errno = 0;
	*value = strtoull(*p, &end, 16);
	if (errno || end == *p || *end != ' ')
		return -1;
	*p = end + 1;
	return 0;
}

/* Make room for one more element in steps of a factor, zeroed. */
static void *grow(void **array, size_t count, size_t size)
{
	if (count < 8 ? count == 0 : (count & (count - 1)) == 0) {
		void *bigger = reallocarray(*array, count < 8 ? 8 : count * 2, size);

		if (!bigger)
			return NULL;
		*array = bigger;
	}
	return memset((char *)*array + count * size, 0, size);
}

static int parse_object(struct trace_map *map, char *p)
{
	struct trace_object *object;
	uint64_t id, base;
	char *space;

	if (take_hex(&p, &id) || id > UINT32_MAX || take_hex(&p, &base))
		return -EINVAL;
	space = strchr(p, ' ');
	if (!space)
		return -EINVAL;
	object = grow((void **)&map->objects, map->nobjects, sizeof(*object));
	if (!object)
		return -ENOMEM;
	*space = 0;
	object->id = id;
	object->base = base;
	object->buildid = p;
	object->path = space + 1;
	map->nobjects++;
	return 0;
}

static int parse_refusal(struct trace_map *map, char *p)
{
	struct trace_refusal *refusal;
	uint64_t object, count;

	if (take_hex(&p, &object) || object > UINT32_MAX || take_hex(&p, &count))
		return -EINVAL;
	refusal = grow((void **)&map->refusals, map->nrefusals, sizeof(*refusal));
	if (!refusal)
		return -ENOMEM;
	refusal->object = object;
	refusal->count = count;
	refusal->reason = p;
	map->nrefusals++;
	return 0;
}

static int parse_site_id(char *p, uint64_t *id)
{
	if (take_hex(&p, id) || *id == 0 || *id >= FTRACE_MAX_SITES)
		return -EINVAL;
	return 0;
}

static int parse_site(struct trace_map *map, char *p, uint64_t end)
{
	struct trace_site *site;
	uint64_t id, object, vaddr, size;

	if (take_hex(&p, &id) || take_hex(&p, &object) || object > UINT32_MAX ||
	    take_hex(&p, &vaddr) || take_hex(&p, &size) || !*p)
		return -EINVAL;
	if (id < map->first_site || id - map->first_site >= map->nsites)
		return -EINVAL;
	site = &map->sites[id - map->first_site];
	if (site->name && site->end < end && !strcmp(site->name, p))
		return 0;	/* came back after its object was unloaded */
	site->name = p;
	site->vaddr = vaddr;
	site->size = size;
	site->object = object;
	site->end = end;
	return 0;
}

/*
 * Size the table. Ids are handed out one after the other, so a sound map is dense; an id far
 * beyond what the number of lines can explain is damage, and must not cost memory.
 */
static int make_table(struct trace_map *map, size_t len)
{
	uint64_t first = UINT64_MAX, last = 0, lines = 0, limit;

	for (int pass = 0; pass < 2; pass++) {
		limit = pass ? first + 16 * lines + 65536 : 0;
		for (char *p = map->text, *next; p < map->text + len; p = next) {
			uint64_t id;

			next = p + strlen(p) + 1;
			if (p[0] != 's' || p[1] != ' ' || parse_site_id(p + 2, &id))
				continue;
			if (pass) {
				if (id <= limit && id > last)
					last = id;
				continue;
			}
			lines++;
			if (id < first)
				first = id;
		}
	}
	if (!lines)
		return 0;
	map->first_site = first;
	map->nsites = last - first + 1;
	map->sites = calloc(map->nsites, sizeof(*map->sites));
	return map->sites ? 0 : -ENOMEM;
}

static int parse(struct trace_map *map, size_t len, const char *what)
{
	uint64_t bad = 0;
	int err;

	/* Lines become strings; a NUL in the text ends its line early, which is damage, no danger. */
	for (size_t i = 0; i < len; i++)
		if (map->text[i] == '\n')
			map->text[i] = 0;
	err = make_table(map, len);
	if (err)
		return err;
	for (char *p = map->text, *next; p < map->text + len; p = next) {
		next = p + strlen(p) + 1;
		err = -EINVAL;
		if (p[0] && p[1] == ' ') {
			if (p[0] == 'o')
				err = parse_object(map, p + 2);
			else if (p[0] == 's')
				err = parse_site(map, p + 2,
						 map->header.inherited + (next - map->text));
			else if (p[0] == 'x')
				err = parse_refusal(map, p + 2);
			else if (p[0] == 'e')
				err = trace_map_parse_event(map, p + 2,
							    map->header.inherited + (next - map->text));
			else if (p[0] == 'u')
				err = 0;
		}
		if (err == -ENOMEM)
			return err;
		bad += err != 0;
	}
	if (bad)
		trace_warn("%s: %llu lines of the process map make no sense; left out", what,
			   (unsigned long long)bad);
	return 0;
}

int trace_map_read(struct trace_map *map, int dirfd, const char *name,
		   const struct trace_map *parent, const char *what)
{
	uint64_t len, there;
	struct stat st;
	ssize_t n;
	int err, fd;

	memset(map, 0, sizeof(*map));
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return trace_error(errno, "%s: %s: %s", what, name, strerror(errno));
	err = fstat(fd, &st) ? -errno : read_header(&map->header, fd);
	if (err) {
		trace_error(-err, "%s: %s: %s", what, name,
			    err == -EINVAL ? "this is no process map" : strerror(-err));
		goto fail;
	}
	map->parent = map->header.inherited ? parent : NULL;
	len = map->header.map_len;
	there = st.st_size > FTRACE_MAP_HEADER_SIZE ? st.st_size - FTRACE_MAP_HEADER_SIZE : 0;
	if (len > there) {
		trace_warn("%s: the process map is cut short; some functions have no name", what);
		len = there;
	}
	if (len > MAX_TEXT) {
		err = trace_error(EFBIG, "%s: %s: %llu bytes of text", what, name,
				  (unsigned long long)len);
		goto fail;
	}
	map->text = malloc(len + 1);
	if (!map->text) {
		err = trace_error(ENOMEM, "%s: %s: no memory for %llu bytes", what, name,
				  (unsigned long long)len);
		goto fail;
	}
	n = read_at(fd, map->text, len, FTRACE_MAP_HEADER_SIZE);
	if (n < 0) {
		err = trace_error(-n, "%s: %s: %s", what, name, strerror(-n));
		goto fail;
	}
	/* An unfinished last line is not a line yet. */
	while (n && map->text[n - 1] != '\n')
		n--;
	map->text[n] = 0;
	err = parse(map, n, what);
	if (err) {
		trace_error(-err, "%s: %s: %s", what, name, strerror(-err));
		goto fail;
	}
	close(fd);
	return 0;
fail:
	close(fd);
	trace_map_free(map);
	return err;
}

void trace_map_free(struct trace_map *map)
{
	for (uint32_t i = 0; i < map->nsites; i++)
		free(map->sites[i].shown);
	free(map->sites);
	free(map->objects);
	free(map->refusals);
	trace_map_free_events(map);
	free(map->text);
	memset(map, 0, sizeof(*map));
}

/* The map of the chain that defines @id. */
static const struct trace_map *owner(const struct trace_map *map, uint32_t id)
{
	uint64_t limit = UINT64_MAX;

	for (; map; map = map->parent) {
		if (id >= map->first_site && id - map->first_site < map->nsites) {
			const struct trace_site *site = &map->sites[id - map->first_site];

			if (site->name && site->end <= limit)
				return map;
		}
		if (limit > map->header.inherited)
			limit = map->header.inherited;
	}
	return NULL;
}

struct trace_site *trace_map_site(const struct trace_map *map, uint32_t id)
{
	map = owner(map, id);
	return map ? &map->sites[id - map->first_site] : NULL;
}

const struct trace_object *trace_map_object(const struct trace_map *map, uint32_t id)
{
	for (; map; map = map->parent)
		for (size_t i = map->nobjects; i--;)
			if (map->objects[i].id == id)
				return &map->objects[i];
	return NULL;
}

const struct trace_object *trace_map_site_object(const struct trace_map *map, uint32_t id)
{
	map = owner(map, id);
	return map ? trace_map_object(map, map->sites[id - map->first_site].object) : NULL;
}

uint32_t trace_map_end(const struct trace_map *map)
{
	uint32_t end = 1;

	for (; map; map = map->parent)
		if (map->nsites && map->first_site + map->nsites > end)
			end = map->first_site + map->nsites;
	return end;
}

const char *trace_map_name(const struct trace_map *map, uint32_t id, int raw)
{
	static char unknown[4][24];
	static unsigned turn;
	struct trace_site *site = trace_map_site(map, id);

	if (site && !site->shown)
		site->shown = trace_demangle(site->name, raw);
	if (site)
		return site->shown ? site->shown : site->name;
	turn = (turn + 1) % 4;
	snprintf(unknown[turn], sizeof(unknown[turn]), "[unknown %u]", id);
	return unknown[turn];
}
