/* SPDX-License-Identifier: MIT */
/* What the map of an image that has ended adds to the totals. */
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/record.h"
#include "reader/map.h"

/*
 * Each object's functions that cannot be traced count once, however many images load it. Objects are
 * known by build-id and path, as the map's line has them.
 */
struct seen_object {
	const struct record_process *first;	/* the image that had it first */
	char name[];
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct seen_object *)a)->name, ((const struct seen_object *)b)->name);
}

/* Is @p the first image with the object @name (@len bytes)? Without memory: yes. */
static bool is_first(struct record *r, const struct record_process *p, const char *name, size_t len)
{
	struct seen_object *o = malloc(sizeof(*o) + len + 1), **found;

	if (!o)
		return true;
	o->first = p;
	memcpy(o->name, name, len);
	o->name[len] = 0;
	found = tsearch(o, &r->seen_objects, compare);
	if (found && *found == o)
		return true;
	free(o);
	return !found || (*found)->first == p;
}

/* The COUNT of a line "x OBJ COUNT REASON". */
static uint64_t refused(const char *line, const char *end)
{
	char field[64];
	unsigned long long count = 0;

	snprintf(field, sizeof(field), "%.*s", (int)(end - line < 60 ? end - line : 60), line);
	return sscanf(field, "x %*x %llx ", &count) == 1 ? count : 0;
}

/* "BUILDID PATH" in a line "o OBJ BASE BUILDID PATH": behind its third space. */
static const char *object_name(const char *line, const char *end)
{
	for (int i = 0; i < 3 && line; i++) {
		line = memchr(line, ' ', (size_t)(end - line));
		line = line ? line + 1 : NULL;
	}
	return line;
}

/* An object's line comes before all that is said of it. */
static void count_lines(struct record *r, const struct record_process *p, const char *exe,
			const char *text, size_t len)
{
	const char *stop = text + len, *line, *end, *name;
	bool counts = true;
	uint32_t objects = 0;

	for (line = text; line < stop; line = end + 1) {
		end = memchr(line, '\n', (size_t)(stop - line));
		if (!end)
			return;
		if (*line == 'o') {
			name = object_name(line, end);
			counts = name && is_first(r, p, name, (size_t)(end - name));
			objects++;
		} else if (*line == 'x' && counts) {
			r->totals.untraceable += refused(line, end);
			r->totals.untraceable_in_libs |= objects > 1;	/* the executable is the first */
			if (!r->totals.untraceable_in[0] || p->pid == (uint32_t)r->child)
				snprintf(r->totals.untraceable_in, sizeof(r->totals.untraceable_in),
					 "%s", exe);
		} else if (*line == 's') {
			r->totals.any_site = true;
		}
	}
}

static void count_text(struct record *r, const struct record_process *p, const char *name,
		       const struct ftrace_map_header *h)
{
	uint64_t len = h->map_len;
	int fd = openat(r->session_fd, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *map;

	if (fd < 0)
		return;
	/* The file is the traced process's to change: its size counts, not what it says. */
	if (fstat(fd, &st) || st.st_size < FTRACE_MAP_HEADER_SIZE)
		len = 0;
	else if (len > (uint64_t)st.st_size - FTRACE_MAP_HEADER_SIZE)
		len = (uint64_t)st.st_size - FTRACE_MAP_HEADER_SIZE;
	map = len ? mmap(NULL, FTRACE_MAP_HEADER_SIZE + len, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
	close(fd);
	if (map == MAP_FAILED)
		return;
	count_lines(r, p, h->exe, map + FTRACE_MAP_HEADER_SIZE, len);
	munmap(map, FTRACE_MAP_HEADER_SIZE + len);
}

void record_count_image(struct record *r, const struct record_process *p)
{
	struct record_totals *t = &r->totals;
	struct ftrace_map_header h;
	char name[64];

	snprintf(name, sizeof(name), "%u.%u.map", p->pid, p->gen);
	if (trace_map_read_header(&h, r->session_fd, name))
		return;
	t->calls_dropped += h.calls_dropped;
	t->calls_unshadowed += h.calls_unshadowed;
	t->threads_unrecorded += h.threads_unrecorded;
	t->discarded += h.records_lost;
	t->map_bytes += h.map_len;
	count_text(r, p, name, &h);
}

void record_count_done(struct record *r)
{
	tdestroy(r->seen_objects, free);
	r->seen_objects = NULL;
}
