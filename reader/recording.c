/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/message.h"
#include "reader/recording.h"
#include "reader/repair.h"

#define MAX_INHERITANCE	1000

static int begins(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);

	return !strncmp(name, prefix, len) && name[len];
}

static int by_number(const void *a, const void *b)
{
	const struct trace_stream_file *x = a, *y = b;

	return strverscmp(x->name, y->name);
}

static DIR *open_dir(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir;

	if (copy < 0)
		return NULL;
	dir = fdopendir(copy);
	if (!dir)
		close(copy);
	return dir;
}

/* Add a stream file to a list. 0 or -ENOMEM. */
static int add_stream(struct trace_stream_file **list, size_t *n, const char *name, uint64_t size)
{
	struct trace_stream_file *files = reallocarray(*list, *n + 1, sizeof(*files));

	if (!files)
		return -ENOMEM;
	*list = files;
	files[*n].size = size;
	files[*n].name = strdup(name);
	if (!files[*n].name)
		return -ENOMEM;
	++*n;
	return 0;
}

/* Collect the stream files of the process; it is no error if there are none. */
static int find_streams(struct trace_process *process, int fd)
{
	struct dirent *entry;
	struct stat st;
	int err = 0;
	DIR *dir;

	dir = open_dir(fd);
	if (!dir)
		return -errno;
	while (!err && (entry = readdir(dir))) {
		int records = begins(entry->d_name, "stream-");

		if ((!records && !begins(entry->d_name, "events-")) ||
		    fstatat(fd, entry->d_name, &st, 0) || !S_ISREG(st.st_mode))
			continue;
		if (records) {
			err = add_stream(&process->streams, &process->nstreams, entry->d_name, st.st_size);
			process->size += st.st_size;
		} else {
			err = add_stream(&process->events, &process->nevents, entry->d_name, st.st_size);
		}
	}
	closedir(dir);
	if (process->nstreams)
		qsort(process->streams, process->nstreams, sizeof(*process->streams), by_number);
	if (process->nevents)
		qsort(process->events, process->nevents, sizeof(*process->events), by_number);
	return err;
}

static void free_process(struct trace_process *process)
{
	trace_process_release(process);
	for (size_t i = 0; i < process->nstreams; i++)
		free(process->streams[i].name);
	for (size_t i = 0; i < process->nevents; i++)
		free(process->events[i].name);
	free(process->streams);
	free(process->events);
	free(process->name);
}

/* Without a readable map, the directory's name still tells the command and the pid. */
static void header_from_name(struct ftrace_map_header *header, const char *name)
{
	const char *dash = strrchr(name, '-');
	size_t len = dash ? (size_t)(dash - name) : strlen(name);

	memset(header, 0, sizeof(*header));
	if (len >= sizeof(header->comm))
		len = sizeof(header->comm) - 1;
	memcpy(header->comm, name, len);
	if (dash)
		sscanf(dash + 1, "%u.%u", &header->pid, &header->gen);
}

/*
 * Take directory @name of the recording as a process if it looks like one.
 * Returns 1 if it was, 0 if not, or a negative errno.
 */
static int add_process(struct trace_recording *recording, const char *name)
{
	struct trace_process process = { 0 }, *processes;
	int err, fd, has_map;

	fd = openat(recording->dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		if (errno != ENOTDIR)
			trace_warn("%s/%s: %s; left out", recording->path, name, strerror(errno));
		return 0;
	}
	err = find_streams(&process, fd);
	if (!err) {
		err = trace_map_read_header(&process.header, fd, ".map");
		has_map = err != -ENOENT;
		if (!has_map && !process.nstreams && !process.nevents) {
			close(fd);
			return 0;	/* somebody's own directory */
		}
		if (err) {
			header_from_name(&process.header, name);
			if (has_map && process.nstreams == 0)
				trace_warn("%s/%s: .map: not readable, and nothing recorded",
					   recording->path, name);
			err = 0;
		}
	}
	close(fd);
	if (!err) {
		process.name = strdup(name);
		processes = reallocarray(recording->processes, recording->nprocesses + 1,
					 sizeof(process));
		if (processes)
			recording->processes = processes;
		if (processes && process.name) {
			processes[recording->nprocesses++] = process;
			recording->size += process.size;
			return 1;
		}
		err = -ENOMEM;
	}
	free_process(&process);
	if (err == -ENOMEM)
		return err;
	trace_warn("%s/%s: %s; left out", recording->path, name, strerror(-err));
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct trace_process *x = a, *y = b;

	if (x->header.start_ticks != y->header.start_ticks)
		return x->header.start_ticks < y->header.start_ticks ? -1 : 1;
	return strverscmp(x->name, y->name);
}

static int by_identity(const void *a, const void *b)
{
	const struct trace_process *x = *(struct trace_process **)a;
	const struct trace_process *y = *(struct trace_process **)b;

	if (x->header.pid != y->header.pid)
		return x->header.pid < y->header.pid ? -1 : 1;
	return x->header.gen < y->header.gen ? -1 : x->header.gen > y->header.gen;
}

/* Point every forked process to the one whose text it inherits. */
static int find_parents(struct trace_recording *recording)
{
	struct trace_process **sorted, **found, key, *wanted = &key;
	size_t n = recording->nprocesses;

	sorted = calloc(n, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &recording->processes[i];
	qsort(sorted, n, sizeof(*sorted), by_identity);
	for (size_t i = 0; i < n; i++) {
		struct trace_process *process = &recording->processes[i];

		if (!process->header.inherited)
			continue;
		key.header.pid = process->header.parent_pid;
		key.header.gen = process->header.parent_gen;
		found = bsearch(&wanted, sorted, n, sizeof(*sorted), by_identity);
		if (found && *found != process)
			process->parent = *found;
		else if (!recording->single)
			trace_warn("%s/%s: the process it was forked from (%u.%u) is missing; some functions have no name",
				   recording->path, process->name, process->header.parent_pid,
				   process->header.parent_gen);
	}
	free(sorted);
	/* Pids that were used twice, or damage, could make a circle. */
	for (size_t i = 0; i < n; i++) {
		struct trace_process *p = recording->processes[i].parent;
		unsigned depth = 0;

		while (p && ++depth < MAX_INHERITANCE)
			p = p->parent;
		if (p)
			recording->processes[i].parent = NULL;
		recording->processes[i].depth = depth;
	}
	return 0;
}

/*
 * The clock: the earliest process's moment stands for the whole recording, so that processes
 * agree to the tick. Its speed comes from two moments far apart where there are two.
 */
static void set_clock(struct trace_recording *recording)
{
	uint64_t hz = trace_info_u64(&recording->info, "tick_hz", 0);
	uint64_t end_ticks = trace_info_u64(&recording->info, "end_ticks", 0);
	uint64_t end_mono = trace_info_u64(&recording->info, "end_mono_ns", 0);
	struct trace_clock *clock = &recording->clock;

	for (size_t i = 0; i < recording->nprocesses; i++) {
		const struct ftrace_map_header *header = &recording->processes[i].header;

		if (!header->start_ticks)
			continue;
		clock->ticks = header->start_ticks;
		clock->mono_ns = header->start_mono_ns;
		clock->real_ns = header->start_real_ns;
		break;
	}
	if (clock->ticks && end_ticks > clock->ticks && end_mono > clock->mono_ns) {
		uint64_t ticks = end_ticks - clock->ticks, ns = end_mono - clock->mono_ns;
		unsigned __int128 measured = (unsigned __int128)ticks * 1000000000 / ns;

		/* Each moment is good to a microsecond or so; below 0.1 s tick_hz is better. */
		if (measured < UINT64_MAX && (!hz || (ns >= 100000000 && measured > hz - hz / 20 &&
						      measured < hz + hz / 20)))
			hz = measured;
	}
	recording->clock_known = hz != 0;
	trace_clock_set(clock, hz);
}

static int find_processes(struct trace_recording *recording)
{
	struct dirent *entry;
	int found = 0, n;
	DIR *dir;

	if (!faccessat(recording->dirfd, ".map", F_OK, 0)) {
		recording->single = 1;
		return add_process(recording, ".");
	}
	dir = open_dir(recording->dirfd);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		n = add_process(recording, entry->d_name);
		if (n < 0) {
			closedir(dir);
			return n;
		}
		found += n;
	}
	closedir(dir);
	return found;
}

int trace_open_as_is(struct trace_recording *recording, const char *path)
{
	int err, n;

	memset(recording, 0, sizeof(*recording));
	trace_clock_set(&recording->clock, 0);
	recording->path = strdup(path);
	if (!recording->path)
		return trace_error(ENOMEM, "%s: no memory", path);
	recording->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (recording->dirfd < 0) {
		err = trace_error(errno, "%s: %s; %s", path, strerror(errno),
				  errno == ENOENT ? "make one with 'ftrace record', or name one with -i DIR" :
				  errno == ENOTDIR ? "a recording is a directory" :
				  "is it a recording of yours?");
		goto fail;
	}
	n = find_processes(recording);
	if (n < 0) {
		err = trace_error(-n, "%s: %s", path, strerror(-n));
		goto fail;
	}
	if (recording->single) {
		int up = openat(recording->dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		recording->has_info = up >= 0 && !trace_info_read(&recording->info, up);
		if (up >= 0)
			close(up);
	} else {
		recording->has_info = !trace_info_read(&recording->info, recording->dirfd);
	}
	if (n == 0 && !recording->has_info) {
		err = trace_error(ENOENT, "%s: this is no recording; name one with -i DIR", path);
		goto fail;
	}
	if (trace_info_u64(&recording->info, "version", 1) != 1) {
		err = trace_error(ENOTSUP, "%s: recording format %s; this version reads format 1", path,
				  trace_info_get(&recording->info, "version"));
		goto fail;
	}
	if (recording->nprocesses) {
		qsort(recording->processes, recording->nprocesses, sizeof(*recording->processes),
		      by_start);
		err = find_parents(recording);
		if (err) {
			trace_error(-err, "%s: %s", path, strerror(-err));
			goto fail;
		}
	}
	set_clock(recording);
	return 0;
fail:
	trace_close(recording);
	return err;
}

int trace_open(struct trace_recording *recording, const char *path)
{
	int err = trace_repair_if_needed(path);

	if (!err)
		err = trace_open_as_is(recording, path);
	if (!err && !recording->clock_known)
		trace_warn("%s/info: %s; times are shown as if a tick were a nanosecond", path,
			   recording->has_info ? "no tick_hz" : "missing or unreadable");
	return err;
}

void trace_close(struct trace_recording *recording)
{
	for (size_t i = 0; i < recording->nprocesses; i++)
		free_process(&recording->processes[i]);
	free(recording->processes);
	trace_info_free(&recording->info);
	if (recording->dirfd >= 0)
		close(recording->dirfd);
	free(recording->path);
	memset(recording, 0, sizeof(*recording));
	recording->dirfd = -1;
}

const struct trace_map *trace_process_map(struct trace_recording *recording,
					  struct trace_process *process)
{
	const struct trace_map *parent = NULL;
	char what[512], name[512];

	if (process->map)
		return process->map;
	if (process->parent)
		parent = trace_process_map(recording, process->parent);
	process->map = calloc(1, sizeof(*process->map));
	if (!process->map)
		return NULL;
	snprintf(what, sizeof(what), "%s/%s", recording->path, process->name);
	snprintf(name, sizeof(name), "%s/.map", process->name);
	if (trace_map_read(process->map, recording->dirfd, name, parent, what))
		trace_warn("%s: functions are shown by number only", what);
	return process->map;
}

void trace_process_release(struct trace_process *process)
{
	if (process->map) {
		trace_map_free(process->map);
		free(process->map);
	}
	process->map = NULL;
}
