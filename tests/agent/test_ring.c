/* SPDX-License-Identifier: MIT */
/*
 * Rings and process maps: agent/ring.c, ring-make.c, map.c, session.c, with a producer of our own
 * in the engine's place and reader/drain.c as the recorder.
 */
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
static bool produce(struct ftrace_thread *t, u32 site)
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

static void make_session(u32 packets, u32 wait_ms, u32 overwrite)
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

static void remove_session(void)
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

static int open_drain(struct trace_drain *d, u32 k)
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
static struct stream check_stream(u32 k)
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

static void *recorder(void *data)
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

static pthread_t start_recorder(struct trace_drain *d)
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

static void stop_recorder(pthread_t thread, struct trace_drain *d)
{
	__atomic_store_n(&recorder_stops, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	if (!d->ring)
		assert_int_equal(open_drain(d, 0), 0);
	assert_true(trace_drain_rest(d) >= 0);
	trace_drain_close(d);
}

/* ---- tests ---- */

/* Many laps of a small ring, each record kept. */
static void test_laps(void **state)
{
	struct ftrace_thread t = { .tid = gettid() };
	struct trace_drain d;
	struct stream s;
	pthread_t thread;
	u64 n = 1000000;

	make_session(4, 10000, 0);
	thread = start_recorder(&d);
	for (u64 i = 1; i <= n; i++)
		assert_true(produce(&t, (u32)i));
	stop_recorder(thread, &d);
	s = check_stream(0);
	assert_int_equal(s.records, n);
	assert_int_equal(s.first_site, 1);
	assert_int_equal(s.last_site, n);
	assert_int_equal(s.discarded, 0);
	assert_int_equal(s.first_seq, 0);
	assert_int_equal(agent_nrings(), 1);
	remove_session();
}

/* Signals at 100 us whose handler writes, too: nothing lost but what a handler in refill() has dropped. */
static struct ftrace_thread *signal_thread;
static u64 handler_wrote, handler_dropped;

static void handler(int sig)
{
	for (int i = 0; i < 50; i++) {
		if (produce(signal_thread, 7))
			handler_wrote++;
		else
			handler_dropped++;
	}
}

static void test_signals(void **state)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;
	struct itimerval timer = { { 0, 100 }, { 0, 100 } }, off = { { 0, 0 }, { 0, 0 } };
	struct ftrace_thread t = { .tid = gettid() };
	struct trace_drain d;
	struct stream s;
	pthread_t thread;
	u64 n = 3000000, wrote = 0;

	make_session(8, 10000, 0);
	thread = start_recorder(&d);
	signal_thread = &t;
	handler_wrote = handler_dropped = 0;
	sigaction(SIGALRM, &sa, &old);
	setitimer(ITIMER_REAL, &timer, NULL);
	for (u64 i = 1; i <= n; i++)
		wrote += produce(&t, 5);
	setitimer(ITIMER_REAL, &off, NULL);
	sigaction(SIGALRM, &old, NULL);
	stop_recorder(thread, &d);
	s = check_stream(0);
	assert_int_equal(wrote, n);
	assert_true(handler_wrote > 0);
	assert_int_equal(s.records, n + handler_wrote);
	remove_session();
}

/*
 * A handler between reading the write pointer and writing, that ends the packet: the interrupted
 * writer must not find its slot unwritten, nor the next one go on in the closed packet.
 */
static void test_interrupted_writer(void **state)
{
	struct ftrace_thread t = { .tid = gettid() };
	u64 *slot, unwritten, expect;

	make_session(32, 100, 0);
	for (int used = 1; used < 6; used++) {
		for (int i = 0; i < used; i++)
			assert_true(produce(&t, 5));
		slot = t.wp;
		unwritten = t.unwritten;
		clock_now += 1ull << 32;	/* the upper half changes: the next one ends the packet */
		assert_true(produce(&t, 6));
		assert_true(((unsigned long)slot ^ (unsigned long)t.wp) >= FTRACE_PACKET_SIZE);
		expect = unwritten;
		assert_false(__atomic_compare_exchange_n(slot, &expect, 1, false, __ATOMIC_RELAXED,
							 __ATOMIC_RELAXED));
		/* One that had written into the slot before, and does its last step late. */
		t.wp = slot;
		assert_true(produce(&t, 6));
		assert_true(((unsigned long)slot ^ (unsigned long)t.wp) >= FTRACE_PACKET_SIZE);
	}
	remove_session();
}

/* The upper half of the clock changes: packets of one time each, all records kept. */
static void test_clock_wraps(void **state)
{
	struct ftrace_thread t = { .tid = gettid() };
	struct trace_drain d;
	struct stream s;
	pthread_t thread;

	make_session(16, 10000, 0);
	thread = start_recorder(&d);
	for (int i = 1; i <= 100; i++) {
		clock_now += 0x30000000;
		assert_true(produce(&t, (u32)i));
	}
	stop_recorder(thread, &d);
	s = check_stream(0);
	assert_int_equal(s.records, 100);
	assert_in_range(s.packets, 15, 25);
	remove_session();
}

/* Nobody drains: waits once, then drops and counts; goes on when there is room again. */
static void test_full(void **state)
{
	struct ftrace_thread t = { .tid = gettid() };
	struct timespec a, b;
	struct trace_drain d;
	struct stream s;
	u64 wrote = 0, lost = 0;

	make_session(2, 100, 0);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 20000; i++)
		produce(&t, 5) ? wrote++ : lost++;
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_in_range((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000, 90, 2000);
	assert_true(lost > 0);
	assert_int_equal(open_drain(&d, 0), 0);
	assert_int_equal(d.ring->discarded, lost);
	assert_int_equal(d.ring->stalls, 1);
	while (trace_drain_packet(&d) > 0)
		;
	for (int i = 0; i < 10; i++)
		assert_true(produce(&t, 6));
	assert_true(trace_drain_rest(&d) >= 0);
	trace_drain_close(&d);
	s = check_stream(0);
	assert_int_equal(s.records, wrote + 10);
	assert_int_equal(s.discarded, lost);
	assert_int_equal(s.last_site, 6);
	assert_int_equal(agent.off, 0);
	remove_session();
}

/* The recorder's heart stands still: the process records no more, for good. */
static void test_recorder_gone(void **state)
{
	struct ftrace_thread t = { .tid = gettid() };

	make_session(2, 5000, 0);
	session->recorder_pid = 0x3fffffff;	/* nobody */
	for (int i = 0; i < 20000; i++)
		produce(&t, 5);
	assert_int_equal(agent.off, 1);
	assert_true(ftrace_silent & FTRACE_SILENT_PAUSED);
	assert_false(produce(&t, 5));
	remove_session();
}

static void test_session_stopped(void **state)
{
	struct ftrace_thread t = { .tid = gettid() };

	make_session(64, 5000, 0);
	assert_true(produce(&t, 5));
	session->stopped = 1;
	for (int i = 0; i < 9000; i++)
		produce(&t, 5);
	assert_int_equal(agent.off, 1);
	assert_int_equal(agent_session_open(dir), -ENODEV);
	remove_session();
}

/* A flight recorder keeps the newest records. */
static void test_overwrite(void **state)
{
	struct ftrace_thread t = { .tid = gettid() };
	struct trace_drain d;
	struct stream s;
	u64 n = 8183 * 10 + 5;

	make_session(4, 100, 1);
	for (u64 i = 1; i <= n; i++)
		assert_true(produce(&t, (u32)i));
	assert_int_equal(open_drain(&d, 0), 0);
	assert_int_equal(d.ring->tail, 7);
	assert_true(trace_drain_rest(&d) >= 0);
	trace_drain_close(&d);
	s = check_stream(0);
	assert_int_equal(s.last_site, n);
	assert_int_equal(s.records, 3 * 8183 + 5);
	assert_int_equal(s.first_site, n - s.records + 1);
	assert_int_equal(s.first_seq, 7);
	assert_int_equal(d.ring_size > 0, 1);
	remove_session();
}

/* The child's records are in a ring of its own, its map says what it inherits. */
static void test_fork(void **state)
{
	struct ftrace_thread t = { .tid = gettid() };
	struct ftrace_map_header header;
	struct trace_drain d;
	char name[64];
	int status;
	pid_t pid;

	make_session(4, 100, 0);
	for (int i = 0; i < 10; i++)
		assert_true(produce(&t, 5));
	pid = fork();
	if (!pid) {
		u32 parent = (u32)agent.pid, gen = agent.gen;

		memset(&t, 0, sizeof(t));	/* as the engine's memory is wiped */
		agent_rings_forked();
		agent.forked = true;
		if (agent_map_create(parent, gen, 123))
			_exit(1);
		t.tid = gettid();
		for (int i = 0; i < 20000; i++)
			if (!produce(&t, 6))
				_exit(2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (int i = 0; i < 10; i++)
		assert_true(produce(&t, 5));
	snprintf(name, sizeof(name), "%d.0.map", pid);
	assert_int_equal(trace_map_read_header(&header, dir_fd, name), 0);
	assert_int_equal(header.parent_pid, getpid());
	assert_int_equal(header.inherited, 123);
	assert_int_equal(header.nrings, 1);
	/* Ours has our 20 and nothing of the child's. */
	assert_int_equal(open_drain(&d, 0), 0);
	assert_true(trace_drain_rest(&d) >= 0);
	trace_drain_close(&d);
	assert_int_equal(check_stream(0).records, 20);
	agent.pid = pid;
	unlinkat(dir_fd, "stream-0", 0);
	assert_int_equal(open_drain(&d, 0), 0);
	assert_true(trace_drain_rest(&d) >= 0);
	trace_drain_close(&d);
	assert_int_equal(check_stream(0).records, 20000);
	remove_session();
}

/* Threads one after the other share rings, also when nobody says that they ended. */
static void *short_thread(void *data)
{
	struct ftrace_thread t = { .tid = gettid() };

	for (int i = 0; i < 3; i++)
		if (!produce(&t, 5))
			return (void *)1;
	if (data)
		agent_thread_gone(&t);
	return NULL;
}

static void threads_in_turn(bool say_goodbye)
{
	pthread_t thread;
	void *failed;

	/* Which of the rings gets how much is chance: a flight recorder needs nobody to drain it. */
	make_session(64, 100, 1);
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(pthread_create(&thread, NULL, short_thread,
						say_goodbye ? &thread : NULL), 0);
		pthread_join(thread, &failed);
		assert_null(failed);
	}
	assert_in_range(agent_nrings(), 1, 3);
	assert_int_equal(agent.map->threads_unrecorded, 0);
	remove_session();
}

static void test_threads_gone(void **state)
{
	threads_in_turn(true);
}

static void test_threads_vanish(void **state)
{
	threads_in_turn(false);
}

/* All at once: rings get smaller as they get many. */
#define MANY 200
static pthread_barrier_t together;

static void *waiting_thread(void *data)
{
	struct ftrace_thread t = { .tid = gettid() };
	bool done = produce(&t, 5);

	pthread_barrier_wait(&together);
	return done ? NULL : (void *)1;
}

static void test_many_threads(void **state)
{
	pthread_t threads[MANY];
	char name[64];
	struct stat st;
	void *failed;

	make_session(64, 100, 0);
	pthread_barrier_init(&together, NULL, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, waiting_thread, NULL), 0);
	for (int i = 0; i < MANY; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(agent_nrings(), MANY);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%d.%u.%d", agent.pid, agent.gen, i);
		assert_int_equal(fstatat(dir_fd, name, &st, 0), 0);
		assert_int_equal(st.st_size, 4096 + 65536 * (i < 16 ? 64 : i < 128 ? 16 : 4));
		assert_int_equal(agent_ring((u32)i)->shared->npackets, i < 16 ? 64 : i < 128 ? 16 : 4);
	}
	pthread_barrier_destroy(&together);
	remove_session();
}

/* Under seccomp only rings that were made before can be had. */
static void test_no_syscalls(void **state)
{
	struct ftrace_thread t = { .tid = gettid() }, u = { .tid = gettid() + 1 };

	make_session(4, 100, 0);
	agent_rings_reserve(1);
	ftrace_no_syscalls = 1;
	assert_true(produce(&t, 5));
	assert_false(produce(&u, 5));
	assert_true(u.flags & FTRACE_THREAD_OFF);
	assert_int_equal(agent.map->threads_unrecorded, 1);
	assert_int_equal(agent_nrings(), 1);
	remove_session();
}

/* Another image of the same process takes the next number, never one that was used. */
static void test_generations(void **state)
{
	make_session(4, 100, 0);
	assert_int_equal(agent.gen, 0);
	assert_int_equal(agent_map_create(1, 0, 0), 0);
	assert_int_equal(agent.gen, 1);
	ftrace_gen_floors(session, session_size)[(u32)getpid() % FTRACE_GEN_FLOORS] = 5;
	assert_int_equal(agent_map_create(1, 0, 0), 0);
	assert_int_equal(agent.gen, 5);
	remove_session();
}

/* Objects and sites as the reader understands them, beyond what was reserved at first. */
static void test_map(void **state)
{
	static struct ftrace_found found[] = {
		{ .vaddr = 0x1004, .entry = 0x1000, .size = 0x20, .form = FTRACE_FORM_NOP },
		{ .vaddr = 0x1100, .entry = 0x1100, .form = FTRACE_FORM_NONE, .reason = "too short" },
		{ .vaddr = 0x2000, .entry = 0x2000, .size = 0x30, .form = FTRACE_FORM_NOP },
	};
	struct ftrace_object obj = {
		.path = "/usr/lib/lib with space.so", .name = "x", .base = 0x7f0000000000,
		.first_site = 1, .nsites = 2, .find = { .found = found, .nfound = 3, .nrefused = 1,
							.build_id = "abcd" },
	};
	struct trace_map map;
	char name[64];
	u64 before;

	make_session(4, 100, 0);
	sites[1] = (struct dyn_ftrace){ .id = 1, .ip = obj.base + 0x1004, .entry_delta = 4,
					.name = "first", .obj = &obj };
	sites[2] = (struct dyn_ftrace){ .id = 2, .ip = obj.base + 0x2000, .name = "_ZN1a1bEv",
					.obj = &obj };
	for (int i = 0; i < 5000; i++) {
		obj.index = (u32)i;
		before = agent_map_used();
		agent_map_object(&obj, false);
		assert_true(agent_map_used() > before);
		agent_map_object(&obj, true);
	}
	assert_int_equal(agent.map->map_len, agent_map_used());
	assert_int_equal(agent.map->untraceable, 5000);
	snprintf(name, sizeof(name), "%d.%u.map", agent.pid, agent.gen);
	assert_int_equal(trace_map_read(&map, dir_fd, name, NULL, "test"), 0);
	assert_int_equal(map.nobjects, 5000);
	assert_string_equal(map.objects[0].path, obj.path);
	assert_int_equal(map.objects[0].base, obj.base);
	assert_string_equal(trace_map_site(&map, 1)->name, "first");
	assert_int_equal(trace_map_site(&map, 1)->vaddr, 0x1000);
	assert_int_equal(trace_map_site(&map, 1)->size, 0x20);
	assert_string_equal(trace_map_site(&map, 2)->name, "_ZN1a1bEv");
	assert_int_equal(map.nrefusals, 5000);
	assert_string_equal(map.refusals[0].reason, "too short");
	trace_map_free(&map);
	remove_session();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_laps),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_interrupted_writer),
		cmocka_unit_test(test_clock_wraps),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_recorder_gone),
		cmocka_unit_test(test_session_stopped),
		cmocka_unit_test(test_overwrite),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_threads_gone),
		cmocka_unit_test(test_threads_vanish),
		cmocka_unit_test(test_many_threads),
		cmocka_unit_test(test_no_syscalls),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
