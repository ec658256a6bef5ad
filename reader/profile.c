/* SPDX-License-Identifier: MIT */
/* The profile tracer's tables: added up into one text, and read from there. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/message.h"
#include "reader/profile.h"
#include "reader/results.h"

#define MAX_TABLES	4096u
#define MAX_HOLES	64u	/* numbers of tables that could not be made, in a row */

int trace_is_profile(const char *rest)
{
	size_t digits = strspn(rest, "0123456789");

	return digits && !strcmp(rest + digits, ".prof");
}

/* ---- from the session into the recording ---- */

struct sums {
	struct ftrace_profile_entry *entries;	/* by site */
	uint32_t n;
	uint64_t threads, unfollowed;
};

static int add_entry(struct sums *sums, const struct ftrace_profile_entry *e)
{
	struct ftrace_profile_entry *sum;

	if (!e->calls || e->site >= FTRACE_MAX_SITES)
		return 0;
	if (e->site >= sums->n) {
		uint32_t n = e->site + e->site / 2 + 1024;
		struct ftrace_profile_entry *more = reallocarray(sums->entries, n, sizeof(*more));

		if (!more)
			return -ENOMEM;
		memset(more + sums->n, 0, (n - sums->n) * sizeof(*more));
		sums->entries = more;
		sums->n = n;
	}
	sum = &sums->entries[e->site];
	if (e->timed && (!sum->timed || e->min < sum->min))
		sum->min = e->min;
	if (e->timed && e->max > sum->max)
		sum->max = e->max;
	sum->calls += e->calls;
	sum->timed += e->timed;
	sum->total += e->total;
	sum->self += e->self;
	sum->sum += e->sum;
	return 0;
}

static int add_table(struct sums *sums, int fd)
{
	struct ftrace_profile header;
	struct ftrace_profile_entry page[64];
	uint32_t done = 0;
	int err = 0;

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
	    header.magic != FTRACE_PROFILE_MAGIC)
		return 0;	/* its maker died before it was used */
	sums->threads += header.threads;
	sums->unfollowed += header.unfollowed;
	while (!err && done < header.nentries) {
		uint32_t want = header.nentries - done < 64 ? header.nentries - done : 64;
		ssize_t n = pread(fd, page, want * sizeof(page[0]),
				  FTRACE_PROFILE_HEADER + (off_t)done * (off_t)sizeof(page[0]));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < (ssize_t)sizeof(page[0]))
			return n < 0 ? -errno : 0;
		n /= (ssize_t)sizeof(page[0]);
		for (ssize_t i = 0; i < n && !err; i++)
			err = add_entry(sums, &page[i]);
		done += (uint32_t)n;
	}
	return err;
}

static int write_sums(const struct sums *sums, int dir_fd)
{
	int fd = openat(dir_fd, ".profile.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	int err = 0;

	if (!f) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	fprintf(f, "t %" PRIx64 " %" PRIx64 "\n", sums->threads, sums->unfollowed);
	for (uint32_t i = 0; i < sums->n; i++) {
		const struct ftrace_profile_entry *e = &sums->entries[i];

		if (e->calls)
			fprintf(f, "p %x %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64
				" %" PRIx64 " %" PRIx64 "\n", i, e->calls, e->timed, e->total,
				e->self, e->sum, e->min, e->max);
	}
	errno = EIO;
	if (ferror(f))
		err = -errno;
	if (fclose(f))
		err = -errno;
	if (!err && renameat(dir_fd, ".profile.tmp", dir_fd, ".profile"))
		err = -errno;
	if (err)
		unlinkat(dir_fd, ".profile.tmp", 0);
	return err;
}

int trace_take_profile(int session_fd, uint32_t pid, uint32_t gen, int dir_fd,
		       struct trace_results_totals *totals)
{
	struct sums sums = { NULL, 0, 0, 0 };
	uint32_t k, last = 0, found = 0;
	char name[64];
	int err = 0;

	for (k = 0; !err && k < MAX_TABLES && k <= last + MAX_HOLES; k++) {
		int fd;

		snprintf(name, sizeof(name), "%u.%u.%u.prof", pid, gen, k);
		fd = openat(session_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			continue;
		err = add_table(&sums, fd);
		close(fd);
		last = k;
		found++;
	}
	if (!err)
		err = found ? write_sums(&sums, dir_fd) : -ENOENT;
	if (!err) {
		totals->threads += sums.threads;
		totals->unfollowed += sums.unfollowed;
		for (uint32_t i = 0; i < sums.n; i++)
			totals->calls += sums.entries[i].calls;
		for (k = 0; k <= last; k++) {
			snprintf(name, sizeof(name), "%u.%u.%u.prof", pid, gen, k);
			unlinkat(session_fd, name, 0);
		}
	}
	free(sums.entries);
	return err;
}

/* ---- read ---- */

/* What of @select and @filter needs single calls. */
static const char *not_in_a_profile(const struct trace_select *select,
				    const struct trace_filter *filter)
{
	if (filter->depth)
		return "depths";
	if (filter->threshold)
		return "durations of single calls";
	if (filter->npatterns[TRACE_FILTER_GRAPH])
		return "callers";
	if (select->from || select->to != UINT64_MAX)
		return "points in time";
	if (select->ntids)
		return "threads";
	return NULL;
}

static int add_line(struct trace_stats *stats, const struct trace_map *map,
		    struct trace_verdicts *verdicts, const char *line, int raw_names)
{
	const struct trace_object *object;
	struct ftrace_profile_entry e = { 0 };
	struct trace_function *f;

	if (sscanf(line, "p %x %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64
		   " %" SCNx64 " %" SCNx64, &e.site, &e.calls, &e.timed, &e.total, &e.self, &e.sum,
		   &e.min, &e.max) != 8 || e.timed > e.calls || e.site >= FTRACE_MAX_SITES)
		return -EINVAL;
	if (trace_verdict(verdicts, e.site) & TRACE_HIDDEN)
		return 0;
	object = trace_map_site_object(map, e.site);
	f = trace_stats_function(stats, trace_map_name(map, e.site, raw_names),
				 trace_map_site(map, e.site), object ? object->path : "");
	if (!f)
		return -ENOMEM;
	if (e.timed && (!f->timed || e.min < f->min))
		f->min = e.min;
	if (e.timed && e.max > f->max)
		f->max = e.max;
	f->calls += e.calls;
	f->timed += e.timed;
	f->unfinished += e.calls - e.timed;
	f->total += e.total;
	f->self += e.self;
	f->sum += e.sum;
	stats->calls += e.calls;
	return 0;
}

static int read_process(struct trace_stats *stats, struct trace_recording *recording,
			struct trace_process *process, const struct trace_filter *filter,
			int raw_names)
{
	const struct trace_map *map = trace_process_map(recording, process);
	struct trace_verdicts verdicts = { 0 };
	uint64_t threads, unfollowed, bad = 0;
	char path[512], line[256];
	int err = 0, fd;
	FILE *f;

	if (!map || trace_verdicts_init(&verdicts, filter, map))
		return -ENOMEM;
	snprintf(path, sizeof(path), "%s/.profile", process->name);
	fd = openat(recording->dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	while (f && !err && fgets(line, sizeof(line), f)) {
		if (line[0] == 'p')
			err = add_line(stats, map, &verdicts, line, raw_names);
		else if (sscanf(line, "t %" SCNx64 " %" SCNx64, &threads, &unfollowed) == 2) {
			stats->threads += threads;
			stats->lost += unfollowed;
		} else {
			err = -EINVAL;
		}
		bad += err == -EINVAL;
		if (err == -EINVAL)
			err = 0;
	}
	if (bad)
		trace_warn("%s/%s: %" PRIu64 " damaged lines; left out", recording->path, path, bad);
	if (f)
		fclose(f);
	else if (fd >= 0)
		close(fd);
	trace_verdicts_free(&verdicts);
	return err;
}

int trace_profile_stats(struct trace_stats *stats, struct trace_recording *recording,
			const struct trace_select *select, const struct trace_filter *filter,
			int raw_names)
{
	const char *missing = not_in_a_profile(select, filter);
	int err = 0;

	memset(stats, 0, sizeof(*stats));
	stats->profile = 1;
	if (missing)
		return trace_error(EINVAL, "%s: a profile knows nothing of %s; leave that option out, or record without --profile",
				   recording->path, missing);
	for (size_t i = 0; !err && i < recording->nprocesses; i++)
		if (trace_select_process(select, &recording->processes[i]))
			err = read_process(stats, recording, &recording->processes[i], filter,
					   raw_names);
	if (err) {
		trace_stats_free(stats);
		trace_error(-err, "%s: %s", recording->path, strerror(-err));
	}
	return err;
}
