/* SPDX-License-Identifier: MIT */
/*
 * What traced processes put into the session directory: a map for each process image, a ring for
 * each of their threads. Image by image they are taken into the recording, and
 * removed when the image has ended, so that memory is held for the living only.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmd/record.h"
#include "reader/map.h"
#include "reader/message.h"
#include "reader/repair.h"

#define MAX_RINGS	(1u << 20)	/* of one process image; an agent makes far fewer */

/* "PID.GEN.REST": the three parts. REST is "map" or a ring's number. */
static bool parse_name(const char *name, uint32_t *pid, uint32_t *gen, const char **rest)
{
	char *end;

	if (*name < '0' || *name > '9')
		return false;
	*pid = (uint32_t)strtoul(name, &end, 10);
	if (*end != '.' || end[1] < '0' || end[1] > '9')
		return false;
	*gen = (uint32_t)strtoul(end + 1, &end, 10);
	if (*end != '.')
		return false;
	*rest = end + 1;
	return true;
}

static int ring_number(const char *rest, uint32_t *number)
{
	char *end;

	if (*rest < '0' || *rest > '9')
		return -1;
	*number = (uint32_t)strtoul(rest, &end, 10);
	return *end ? -1 : 0;
}

static struct record_process **bucket(struct record *r, uint32_t pid)
{
	return &r->processes[pid % RECORD_BUCKETS];
}

static struct record_process *find_process(struct record *r, uint32_t pid, uint32_t gen)
{
	struct record_process *p = *bucket(r, pid);

	while (p && (p->pid != pid || p->gen != gen))
		p = p->next;
	return p;
}

/* Be told when the process is gone, its last thread included; a zombie counts as gone. */
static void watch_process(struct record *r, struct record_process *p)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = p };

	pid_t pid = record_attach_pid(r, (pid_t)p->pid);

	p->pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (p->pidfd < 0) {
		p->gone = pid > 0 && errno == ESRCH;
		r->reap |= p->gone;
		return;
	}
	if (epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, p->pidfd, &event)) {
		close(p->pidfd);
		p->pidfd = -1;
	}
}

/* Executed another program: what the image before this one left is complete. */
static void end_former_images(struct record *r, const struct record_process *p)
{
	for (struct record_process *q = *bucket(r, p->pid); q; q = q->next)
		if (q->pid == p->pid && q->gen < p->gen) {
			q->gone = true;
			r->reap = true;
		}
}

static struct record_process *add_process(struct record *r, uint32_t pid, uint32_t gen)
{
	struct record_process *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->pid = pid;
	p->gen = gen;
	p->next = *bucket(r, pid);
	*bucket(r, pid) = p;
	r->totals.images++;
	r->totals.processes += record_note_id(r->pids, pid);
	watch_process(r, p);
	end_former_images(r, p);
	return p;
}

/* A new image has no directory yet, which need not be looked for among thousands. */
static int make_dir(struct record *r, struct record_process *p, const char *name)
{
	struct ftrace_map_header header;
	int err = trace_map_read_header(&header, r->session_fd, name);

	/* Its maker may not have come to the end of the header. */
	if (err == -EINVAL)
		return -EAGAIN;
	return err ? err : trace_make_process_dir(r->out_fd, &header, p->dir);
}

static int copy_map(struct record *r, struct record_process *p)
{
	char name[64];
	int err = 0;

	snprintf(name, sizeof(name), "%u.%u.map", p->pid, p->gen);
	if (!p->dir[0])
		err = make_dir(r, p, name);
	if (err)
		return err;
	return trace_copy_map(r->session_fd, name, r->out_fd, p->dir);
}

/* Its map may have to wait until its maker has finished it. */
static void look_at_map(struct record *r, uint32_t pid, uint32_t gen)
{
	struct record_process *p = find_process(r, pid, gen);
	int err;

	if (!p)
		p = add_process(r, pid, gen);
	if (!p || p->dir[0])
		return;
	err = copy_map(r, p);
	if (err) {
		p->dir[0] = 0;
		r->look_again = true;
		if (err != -EAGAIN)
			record_stop(r, "a process map cannot be written", -err);
	}
}

/* Asked for each file of the session whenever there is a new one: not by going through the list. */
static bool ring_is_seen(const struct record_process *p, uint32_t number)
{
	return number < p->ring_bits && p->ring_seen[number / 8] >> number % 8 & 1;
}

/* Room for the bit of ring @number. False: no memory, or no number an agent gives. */
static bool make_ring_bit(struct record_process *p, uint32_t number)
{
	uint32_t bits = (number + 64) * 2 / 8 * 8;
	uint8_t *more;

	if (number < p->ring_bits)
		return true;
	more = number < MAX_RINGS ? realloc(p->ring_seen, bits / 8) : NULL;
	if (!more)
		return false;
	memset(more + p->ring_bits / 8, 0, (bits - p->ring_bits) / 8);
	p->ring_seen = more;
	p->ring_bits = bits;
	return true;
}

static void look_at_ring(struct record *r, const char *name, uint32_t pid, uint32_t gen,
			 uint32_t number)
{
	struct record_process *p = find_process(r, pid, gen);
	struct record_ring *ring;
	int fd, dirfd, err;
	char stream[32];

	if (!p || !p->dir[0]) {
		r->look_again = true;	/* its map comes first */
		return;
	}
	if (ring_is_seen(p, number) || !make_ring_bit(p, number))
		return;
	ring = calloc(1, sizeof(*ring));
	fd = openat(r->session_fd, name, O_RDWR | O_CLOEXEC);
	dirfd = openat(r->out_fd, p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(stream, sizeof(stream), "stream-%u", number);
	err = !ring ? -ENOMEM : fd < 0 || dirfd < 0 ? -errno :
	      trace_drain_open(&ring->drain, fd, dirfd, stream);
	if (fd >= 0)
		close(fd);
	if (dirfd >= 0)
		close(dirfd);
	if (err) {
		free(ring);
		r->look_again = true;
		/* Descriptors may be had again later; until then the thread waits, or drops. */
		if (err != -EAGAIN && err != -EMFILE && err != -ENFILE && err != -ENOENT)
			record_stop(r, "a stream file cannot be made", -err);
		return;
	}
	ring->number = number;
	ring->next = p->rings;
	p->rings = ring;
	p->ring_seen[number / 8] |= (uint8_t)(1 << number % 8);
	r->totals.rings++;
}

static void look_at(struct record *r, const char *name, bool maps)
{
	uint32_t pid, gen, number;
	const char *rest;

	if (!parse_name(name, &pid, &gen, &rest))
		return;
	if (!strcmp(rest, "map")) {
		if (maps)
			look_at_map(r, pid, gen);
	} else if (!maps && !ring_number(rest, &number)) {
		look_at_ring(r, name, pid, gen, number);
	}
}

static void look_through(struct record *r)
{
	int fd = openat(r->session_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d) {
		if (fd >= 0)
			close(fd);
		r->look_again = true;
		return;
	}
	while ((entry = readdir(d)))
		look_at(r, entry->d_name, true);
	rewinddir(d);
	while ((entry = readdir(d)))
		look_at(r, entry->d_name, false);
	closedir(d);
}

void record_files_look(struct record *r)
{
	/* Read before looking: what comes later counts it up again. */
	uint32_t files = __atomic_load_n(&r->control->nfiles, __ATOMIC_ACQUIRE);

	if (r->stopped_why || (files == r->seen_files && !r->look_again))
		return;
	r->seen_files = files;
	r->look_again = false;
	look_through(r);
}

static void unlink_file(struct record *r, const struct record_process *p, const char *suffix)
{
	char name[64];

	snprintf(name, sizeof(name), "%u.%u.%s", p->pid, p->gen, suffix);
	unlinkat(r->session_fd, name, 0);
}

static int take_results(struct record *r, const struct record_process *p)
{
	int dirfd = openat(r->out_fd, p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;
	struct trace_results_totals taken = { 0 };

	if (dirfd < 0)
		return -errno;
	err = trace_take_results(r->session_fd, p->pid, p->gen, dirfd, &taken);
	r->totals.results += taken.results;
	r->totals.calls += taken.calls;
	r->totals.calls_unfollowed += taken.unfollowed;
	r->totals.threads += taken.threads;
	close(dirfd);
	return err;
}

/* The image has ended, or the recording does: take all that is left of it. */
static void finish_process(struct record *r, struct record_process *p)
{
	char number[16];
	int err;

	while (p->rings) {
		struct record_ring *ring = p->rings;

		p->rings = ring->next;
		record_drain_last(r, ring);
		snprintf(number, sizeof(number), "%u", ring->number);
		unlink_file(r, p, number);
		free(ring);
	}
	err = p->dir[0] ? take_results(r, p) : 0;
	if (err)
		record_stop(r, "a tracer's result cannot be written", -err);
	err = copy_map(r, p);
	if (err && err != -EAGAIN)
		record_stop(r, "a process map cannot be written", -err);
	record_count_image(r, p);
	/* Its GEN is not to be given again, though its name will be free. */
	if (p->gen < UINT16_MAX && r->gen_floors[p->pid % FTRACE_GEN_FLOORS] <= p->gen)
		__atomic_store_n(&r->gen_floors[p->pid % FTRACE_GEN_FLOORS], p->gen + 1,
				 __ATOMIC_RELEASE);
	/* Kept when it could not be copied: without it the recording has no names. */
	if (!err || err == -EAGAIN)
		unlink_file(r, p, "map");
	if (p->pidfd >= 0)
		close(p->pidfd);
	p->pidfd = -1;
}

/* Unlink and free every finished process of @chain. */
static void sweep(struct record_process **chain)
{
	while (*chain) {
		struct record_process *p = *chain;

		if (p->finished) {
			*chain = p->next;
			free(p->ring_seen);
			free(p);
		} else {
			chain = &p->next;
		}
	}
}

void record_files_reap(struct record *r)
{
	struct epoll_event events[64];
	int n;

	do {
		n = epoll_wait(r->epoll_fd, events, 64, 0);
		for (int i = 0; i < n; i++) {
			struct record_process *p = events[i].data.ptr;

			p->gone = true;
			r->reap = true;
			epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, p->pidfd, NULL);
		}
	} while (n == 64);
	/* When recording has stopped, all is done at the end, with the disk space kept for that. */
	if (!r->reap || r->stopped_why)
		return;
	r->reap = false;
	/* It may have made a file just before its end. */
	r->seen_files--;
	record_files_look(r);
	/* The last thing it did may have been to ask for one. */
	record_snapshots_look(r);
	for (size_t i = 0; i < RECORD_BUCKETS; i++) {
		for (struct record_process *p = r->processes[i]; p; p = p->next)
			if (p->gone) {
				finish_process(r, p);
				p->finished = true;
			}
		sweep(&r->processes[i]);
	}
}

void record_files_finish(struct record *r)
{
	for (size_t i = 0; i < RECORD_BUCKETS; i++)
		for (struct record_process *p = r->processes[i]; p; p = p->next)
			/* Each process once, its last image. */
			if (!p->gone && !find_process(r, p->pid, p->gen + 1))
				r->still_running += !r->attach &&
						    (!kill((pid_t)p->pid, 0) || errno == EPERM);
	look_through(r);
	for (size_t i = 0; i < RECORD_BUCKETS; i++) {
		for (struct record_process *p = r->processes[i]; p; p = p->next) {
			finish_process(r, p);
			p->finished = true;
		}
		sweep(&r->processes[i]);
	}
}
