/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/byteorder.h"
#include "reader/results.h"

/* ---- from the session into the recording ---- */

/* Results that one file in the recording takes over as it is. */
static const char *const whole[] = { "stack" };

int trace_is_result(const char *rest)
{
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		if (!strcmp(rest, whole[i]))
			return 1;
	return trace_is_profile(rest);
}

/* Pages that are all zero, as most of a result may be, take no space on the disk. */
static int copy_bytes(int from, int to)
{
	static const char zeros[4096];
	char buf[sizeof(zeros)];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(from, buf, sizeof(buf), at))) {
		ssize_t done = 0, w;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!memcmp(buf, zeros, (size_t)n))
			done = n;
		for (; done < n; done += w) {
			w = pwrite(to, buf + done, (size_t)(n - done), at + done);
			if (w < 0 && errno == EINTR)
				w = 0;
			else if (w <= 0)
				return w < 0 ? -errno : -ENOSPC;
		}
		at += n;
	}
	return ftruncate(to, at) ? -errno : 0;
}

static int take_whole(int session_fd, const char *name, int dir_fd, const char *as)
{
	char temporary[32], final[32];
	int from, to, err;

	from = openat(session_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (from < 0)
		return -errno;
	snprintf(final, sizeof(final), ".%.16s", as);
	snprintf(temporary, sizeof(temporary), ".%.16s.tmp", as);
	to = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	err = to < 0 ? -errno : copy_bytes(from, to);
	close(from);
	if (to >= 0)
		close(to);
	if (!err && renameat(dir_fd, temporary, dir_fd, final))
		err = -errno;
	unlinkat(err ? dir_fd : session_fd, err ? temporary : name, 0);
	return err;
}

int trace_take_results(int session_fd, uint32_t pid, uint32_t gen, int dir_fd,
		       struct trace_results_totals *totals)
{
	int err = 0, found = 0;

	for (size_t i = 0; !err && i < sizeof(whole) / sizeof(whole[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "%u.%u.%s", pid, gen, whole[i]);
		err = take_whole(session_fd, name, dir_fd, whole[i]);
		found |= !err;
		if (err == -ENOENT)
			err = 0;
	}
	if (!err) {
		err = trace_take_profile(session_fd, pid, gen, dir_fd, totals);
		found |= !err;
		if (err == -ENOENT)
			err = 0;
	}
	totals->results += found;
	return err;
}

int trace_has_results(const struct trace_recording *recording, const char *what)
{
	char path[PATH_MAX];

	if (recording->size)
		return 0;
	for (size_t i = 0; i < recording->nprocesses; i++) {
		snprintf(path, sizeof(path), "%s/.%s", recording->processes[i].name, what);
		if (!faccessat(recording->dirfd, path, F_OK, 0))
			return 1;
	}
	return 0;
}

/* ---- the stack tracer's ---- */

/* The first @size bytes of @name of @process. */
static int read_whole(struct trace_recording *recording, struct trace_process *process,
		      const char *name, void *buf, size_t size)
{
	int dir_fd, fd;
	size_t done = 0;
	ssize_t n;

	dir_fd = openat(recording->dirfd, process->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	close(dir_fd);
	if (fd < 0)
		return -errno;
	while (done < size) {
		n = read(fd, (char *)buf + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	close(fd);
	return done == size ? 0 : -EINVAL;
}

static int stack_is_sound(const struct ftrace_stack_trace *t)
{
	if (t->nframes == 0)
		return 0;
	for (uint32_t i = 1; i < t->nframes; i++)
		if (t->frames[i].sp < t->frames[i - 1].sp)
			return 0;
	if (t->top && (t->frames[t->nframes - 1].sp > t->top || t->top - t->frames[0].sp != t->depth))
		return 0;
	return 1;
}

/* @from with its functions in the order that trace_stack_read() hands out. */
static int unroll(struct ftrace_stack_trace *to, const struct ftrace_stack_trace *from)
{
	uint32_t n = from->nframes - from->first;

	if (from->first > from->nframes || n > FTRACE_STACK_FRAMES)
		return -EINVAL;
	*to = *from;
	to->nframes = n;
	for (uint32_t i = 0; i < n; i++)
		to->frames[i] = from->frames[(from->nframes - 1 - i) % FTRACE_STACK_FRAMES];
	return 0;
}

int trace_stack_read(struct trace_recording *recording, struct trace_process *process,
		     struct ftrace_stack_trace **trace, uint64_t *not_followed)
{
	struct ftrace_stack_result *r;
	int err;

	r = malloc(sizeof(*r));
	*trace = malloc(sizeof(**trace));
	err = r && *trace ? read_whole(recording, process, ".stack", r, sizeof(*r)) : -ENOMEM;
	if (!err && r->magic == __builtin_bswap64(FTRACE_STACK_MAGIC)) {
		TRACE_SWAP(r->magic);
		TRACE_SWAP(r->current);
		TRACE_SWAP(r->not_followed);
		trace_swap_stack(&r->trace[r->current & 1]);
	}
	if (!err && (r->magic != FTRACE_STACK_MAGIC || r->current > 1))
		err = -EINVAL;
	if (!err)
		err = unroll(*trace, &r->trace[r->current]);
	if (!err) {
		*not_followed = r->not_followed;
		err = !(*trace)->depth ? -ENOENT : stack_is_sound(*trace) ? 0 : -EINVAL;
	}
	free(r);
	if (err) {
		free(*trace);
		*trace = NULL;
	}
	return err;
}

/* ---- functions by address ---- */

static int by_address(const void *a, const void *b)
{
	const struct trace_address *x = a, *y = b;

	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

int trace_addresses_init(struct trace_addresses *a, const struct trace_map *map)
{
	uint32_t end = trace_map_end(map);

	a->n = 0;
	a->functions = calloc(end, sizeof(*a->functions));
	if (!a->functions)
		return -ENOMEM;
	for (uint32_t id = 1; id < end; id++) {
		const struct trace_site *site = trace_map_site(map, id);
		const struct trace_object *object = trace_map_site_object(map, id);
		struct trace_address *f = &a->functions[a->n];

		if (!site || !site->name || !object)
			continue;
		f->lo = object->base + site->vaddr;
		f->hi = f->lo + (site->size ? site->size : 16);
		f->id = id;
		a->n++;
	}
	qsort(a->functions, a->n, sizeof(*a->functions), by_address);
	return 0;
}

void trace_addresses_free(struct trace_addresses *a)
{
	free(a->functions);
	a->functions = NULL;
	a->n = 0;
}

const struct trace_address *trace_address_find(const struct trace_addresses *a, uint64_t address)
{
	size_t lo = 0, hi = a->n;

	while (lo < hi) {	/* the first one behind it */
		size_t middle = (lo + hi) / 2;

		if (a->functions[middle].lo <= address)
			lo = middle + 1;
		else
			hi = middle;
	}
	/* Of several at one address (an object that came back) the latest. */
	return lo && address < a->functions[lo - 1].hi ? &a->functions[lo - 1] : NULL;
}
