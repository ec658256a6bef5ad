/* SPDX-License-Identifier: MIT */
/*
 * Rings and process maps: agent/ring.c, ring-make.c, map.c, session.c, with a producer of our own
 * in the engine's place and reader/drain.c as the recorder. For one source of a program.
 */
#ifndef TESTS_AGENT_RING_WORLD_H
#define TESTS_AGENT_RING_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/ring.h"
#include "arch.h"
#include "engine/payload.h"
#include "engine/site.h"
#include "reader/drain.h"
#include "reader/map.h"

/* ---- what the agent takes from the engine ---- */

u32 ftrace_silent, ftrace_no_syscalls;

static u64 clock_now = 1000;	/* ticks; each look advances it */

u64 arch_ticks(void)
{
	return __atomic_add_fetch(&clock_now, 1, __ATOMIC_RELAXED);
}

static struct dyn_ftrace sites[3];

struct dyn_ftrace *ftrace_site(u32 id)
{
	return id >= 1 && id <= 2 ? &sites[id] : NULL;
}

int ft_log(int err, const char *fmt, ...)
{
	return err;
}

bool ftrace_payload_is_pending(const struct ftrace_thread *t, const void *lo, const void *hi)
{
	return false;
}

/* ---- a writer that follows the engine's steps ---- */

static __thread bool in_slow_path;

/* False: dropped, as the engine drops calls made by a handler inside the slow path. */
static inline bool produce(struct ftrace_thread *t, u32 site)
{
	for (;;) {
		u64 *slot = READ_ONCE(t->wp), now, unwritten;
		int err;

		barrier();
		now = arch_ticks();
		if (!slot || slot >= READ_ONCE(t->end) || (u32)(now >> 32) != t->hi ||
		    ((unsigned long)slot ^ (unsigned long)t->end) >= FTRACE_PACKET_SIZE) {
			if (in_slow_path)
				return false;
			in_slow_path = true;
			barrier();
			err = agent_refill(t, now);
			barrier();
			in_slow_path = false;
			if (err)
				return false;
			continue;
		}
		unwritten = t->unwritten;
		if (__atomic_compare_exchange_n(slot, &unwritten, ftrace_record((u32)now, 2, site),
						false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			barrier();
			WRITE_ONCE(t->wp, slot + 1);
			return true;
		}
		WRITE_ONCE(t->wp, slot + 1);
	}
}

/* ---- the recorder's part ---- */

static char dir[64];
static int dir_fd;
static struct ftrace_session *session;
static size_t session_size;

static inline void make_session(u32 packets, u32 wait_ms, u32 overwrite)
{
	int fd;

	strcpy(dir, "/dev/shm/ftrace-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	fd = openat(dir_fd, "control", O_RDWR | O_CREAT, 0600);
	session_size = FTRACE_SESSION_SIZE + sizeof(struct ftrace_session_log) +
		       FTRACE_GEN_FLOORS * sizeof(u16);
	assert_int_equal(ftruncate(fd, (off_t)session_size), 0);
	session = mmap(NULL, session_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	assert_true(session != MAP_FAILED);
	session->version = FTRACE_SESSION_VERSION;
	session->recorder_pid = (u32)getpid();
	session->ring_packets = packets;
	session->wait_ms = wait_ms;
	session->overwrite = overwrite;
	session->magic = FTRACE_SESSION_MAGIC;

	agent_rings_forked();
	memset(&agent, 0, sizeof(agent));
	ftrace_silent = ftrace_no_syscalls = 0;
	clock_now = 1000;
	assert_int_equal(agent_session_open(dir), 0);
	assert_int_equal(agent_map_create(1, 0, 0), 0);
}

static inline void remove_session(void)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	agent_rings_forked();
	while ((entry = readdir(d)))
		unlinkat(dir_fd, entry->d_name, 0);
	closedir(d);
	close(dir_fd);
	munmap(session, session_size);
	assert_int_equal(rmdir(dir), 0);
}

static inline int open_drain(struct trace_drain *d, u32 k)
{
	char name[64], stream[32];
	int fd, err;

	snprintf(name, sizeof(name), "%d.%u.%u", agent.pid, agent.gen, k);
	snprintf(stream, sizeof(stream), "stream-%u", k);
	fd = openat(dir_fd, name, O_RDWR);
	if (fd < 0)
		return -errno;
	err = trace_drain_open(d, fd, dir_fd, stream);
	close(fd);
	return err;
}

struct stream {
	u64 records, packets, discarded, first_seq, last_seq;
	u64 first_site, last_site;
	u32 first_tid, last_tid;
};

/* Read a stream file and judge all that a reader relies on. */
static inline struct stream check_stream(u32 k)
{
	struct stream s = { 0 };
	u64 words[8192], last = 0;
	struct ftrace_packet h;
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "stream-%u", k);
	fd = openat(dir_fd, name, O_RDONLY);
	assert_true(fd >= 0);
	while (read(fd, &h, sizeof(h)) == sizeof(h)) {
		size_t n = h.content_size / 64 - sizeof(h) / 8;

		assert_int_equal(h.magic, FTRACE_PACKET_MAGIC);
		assert_true(h.packet_size >= h.content_size);
		assert_true(h.events_discarded >= s.discarded);
		assert_true(h.timestamp_begin >= last);
		if (s.packets)
			assert_int_equal(h.packet_seq_num, s.last_seq + 1);
		else
			s.first_seq = h.packet_seq_num;
		assert_int_equal(read(fd, words, n * 8), n * 8);
		lseek(fd, (h.packet_size - h.content_size) / 8, SEEK_CUR);
		for (size_t i = 0; i < n; i++) {
			u64 now = (h.timestamp_begin & ~0xffffffffull) | (u32)words[i];

			assert_false(ftrace_is_unwritten(words[i]));
			assert_true(now >= last);
			last = now;
			if ((words[i] >> 32 & 3) == FTRACE_EVENT_EXTENDED)
				continue;
			s.last_site = words[i] >> 34;
			if (!s.records++)
				s.first_site = s.last_site;
		}
		assert_true(last <= h.timestamp_end);
		last = h.timestamp_end;
		s.last_seq = h.packet_seq_num;
		s.discarded = h.events_discarded;
		s.last_tid = h.tid;
		if (!s.packets++)
			s.first_tid = h.tid;
	}
	close(fd);
	return s;
}

/* A recorder in a thread: drains ring 0 and counts the heartbeat up, until told to stop. */
static bool recorder_stops;

static inline void *recorder(void *data)
{
	struct trace_drain *d = data;

	while (!__atomic_load_n(&recorder_stops, __ATOMIC_ACQUIRE)) {
		__atomic_fetch_add(&session->heartbeat, 1, __ATOMIC_RELAXED);
		if (!d->ring && open_drain(d, 0))
			d->ring = NULL;
		if (!d->ring || trace_drain_packets(d, 16) <= 0)
			usleep(100);
	}
	return NULL;
}

static inline pthread_t start_recorder(struct trace_drain *d)
{
	pthread_t thread;
	sigset_t all, before;

	memset(d, 0, sizeof(*d));
	recorder_stops = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	assert_int_equal(pthread_create(&thread, NULL, recorder, d), 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return thread;
}

static inline void stop_recorder(pthread_t thread, struct trace_drain *d)
{
	__atomic_store_n(&recorder_stops, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	if (!d->ring)
		assert_int_equal(open_drain(d, 0), 0);
	assert_true(trace_drain_rest(d) >= 0);
	trace_drain_close(d);
}

#endif
