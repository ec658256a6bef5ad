/* SPDX-License-Identifier: MIT */
/*
 * Snapshots: what a flight recorder's rings hold, while it goes on, as a recording of its own beside the
 * one that is made: DIR.snapshot-N. Asked for by traced processes (agent/snapshot.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ftrace/trace-event.h>

#include "cmd/cmd.h"
#include "cmd/record.h"
#include "reader/map.h"
#include "reader/repair.h"

bool record_snapshot_asked(const struct record *r)
{
	return !r->stopped_why && __atomic_load_n(&r->control->snapshots_asked, __ATOMIC_ACQUIRE) !=
				  r->control->snapshots_taken;
}

/* The first name that is free, from the one behind the last. */
static int make_directory(struct record *r, char *path, size_t size)
{
	size_t len = strlen(r->opt->output);

	while (len > 1 && r->opt->output[len - 1] == '/')
		len--;
	do {
		if ((size_t)snprintf(path, size, "%.*s.snapshot-%u", (int)len, r->opt->output,
				     ++r->last_snapshot) >= size)
			return -ENAMETOOLONG;
	} while (mkdir(path, 0777) && errno == EEXIST);
	return access(path, W_OK | X_OK) ? -errno : 0;
}

static int copy_ring(struct record *snap, const struct record_process *p, uint32_t number, int dirfd)
{
	struct record_totals *t = &snap->totals;
	struct trace_drain d;
	char name[64], stream[32];
	int fd, n;

	snprintf(name, sizeof(name), "%u.%u.%u", p->pid, p->gen, number);
	snprintf(stream, sizeof(stream), "stream-%u", number);
	fd = openat(snap->session_fd, name, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = trace_drain_open(&d, fd, dirfd, stream);
	close(fd);
	if (n)
		return n;
	n = trace_drain_rest(&d);
	if (d.stream_id == FTRACE_STREAM_EVENTS)
		t->events += d.records;
	else
		t->records += d.records;
	t->calls += d.calls;
	t->discarded += d.lost;
	t->threads += n > 0 && d.stream_id != FTRACE_STREAM_EVENTS;
	snap->written += d.file_size;
	trace_drain_close(&d);
	return n < 0 ? n : 0;
}

static int copy_rings(struct record *snap, const struct record_process *p, char dir[64])
{
	struct ftrace_map_header header;
	char name[64];
	int err, dirfd;

	snprintf(name, sizeof(name), "%u.%u.map", p->pid, p->gen);
	err = trace_map_read_header(&header, snap->session_fd, name);
	if (!err)
		err = trace_make_process_dir(snap->out_fd, &header, dir);
	if (err)
		return err;
	dirfd = openat(snap->out_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	for (const struct record_ring *ring = p->rings; ring && !err; ring = ring->next)
		err = copy_ring(snap, p, ring->number, dirfd);
	close(dirfd);
	/* Behind the records: every function in them is named. */
	return err ? err : trace_copy_map(snap->session_fd, name, snap->out_fd, dir);
}

static int copy_processes(struct record *snap)
{
	char dir[64];
	int err = 0;

	for (size_t i = 0; i < RECORD_BUCKETS; i++)
		for (const struct record_process *p = snap->processes[i]; p && !err; p = p->next) {
			if (!p->dir[0])
				continue;
			err = copy_rings(snap, p, dir);
			snap->totals.processes += !err;
		}
	return err;
}

/* Who waited for the copy goes on. */
static void taken(struct record *r, uint32_t asked)
{
	__atomic_store_n(&r->control->snapshots_taken, asked, __ATOMIC_RELEASE);
	syscall(SYS_futex, &r->control->snapshots_taken, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* @snap: a copy of @r, with a directory, options and totals of its own. */
static int take(struct record *r, struct record *snap, struct record_options *opt, uint32_t asked)
{
	char path[PATH_MAX];
	int err = make_directory(r, path, sizeof(path));

	if (!err) {
		snap->out_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = snap->out_fd < 0 ? -errno : copy_processes(snap);
	}
	taken(r, asked);
	if (err)
		return cmd_error("%s: the snapshot cannot be written: %s", path, strerror(-err));
	record_clock(&snap->end_ticks, &snap->end_mono_ns, &snap->end_real_ns);
	opt->output = path;
	err = record_write_args(snap) || record_finish_output(snap);
	opt->output = r->opt->output;
	return err;
}

void record_snapshots_look(struct record *r)
{
	struct record *snap;
	struct record_options opt = *r->opt;
	uint32_t asked = __atomic_load_n(&r->control->snapshots_asked, __ATOMIC_ACQUIRE);

	if (!record_snapshot_asked(r))
		return;
	record_files_look(r);
	snap = malloc(sizeof(*snap));
	/* They may take as much as the recording itself, and take nothing from it. */
	if (!snap || r->snapshots_written >= r->max_size) {
		taken(r, asked);
		r->snapshots_missed++;
		free(snap);
		return;
	}
	*snap = *r;
	snap->opt = &opt;
	snap->is_snapshot = true;
	snap->written = 0;
	snap->out_fd = -1;
	snap->totals = (struct record_totals){ 0 };
	if (!take(r, snap, &opt, asked)) {
		r->snapshots++;
		if (!r->first_snapshot)
			r->first_snapshot = r->last_snapshot;
	} else {
		r->snapshots_missed++;
	}
	r->snapshots_written += snap->written;
	if (snap->out_fd >= 0)
		close(snap->out_fd);
	free(snap);
}

void record_snapshots_summary(const struct record *r)
{
	uint64_t missed = r->snapshots_missed + r->control->snapshots_missed;
	int len = (int)strlen(r->opt->output);

	while (len > 1 && r->opt->output[len - 1] == '/')
		len--;
	if (r->snapshots)
		fprintf(stderr, "ftrace: %u snapshot%s: %.*s.snapshot-%u", r->snapshots, r->snapshots == 1 ? "" : "s", len,
			r->opt->output, r->first_snapshot);
	if (r->snapshots > 1)
		fprintf(stderr, " to -%u", r->last_snapshot);
	if (missed)
		fprintf(stderr, "%s%llu more asked for while one was being written, or without room (--max-size)",
			r->snapshots ? "; " : "ftrace: snapshots: ", (unsigned long long)missed);
	if (r->snapshots || missed)
		fputc('\n', stderr);
}
