/* SPDX-License-Identifier: MIT */
/*
 * Rings drained into stream files: a writer made of a few lines plays the traced thread, the drain
 * under test the recorder. What must arrive is counted by the writer, not taken from the drain.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "reader/drain.h"

#define HEADER		sizeof(struct ftrace_packet)
#define RECORDS		((FTRACE_PACKET_SIZE - HEADER) / 8)
#define NPACKETS	4u

struct world {
	char dir[64];
	int dirfd, ring_fd;
	struct ftrace_ring *ring;
	size_t size;
	/* The writer. */
	uint64_t time, *wp, *end, open;
	uint32_t next;			/* site of the next record: 1, 2, 3, ... */
};

static struct ftrace_packet *slot(struct world *w, uint64_t k)
{
	return (void *)((char *)w->ring + FTRACE_RING_HEADER_SIZE + k % NPACKETS * FTRACE_PACKET_SIZE);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	strcpy(w->dir, "/tmp/test-drain-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->dirfd = open(w->dir, O_RDONLY | O_DIRECTORY);
	w->ring_fd = openat(w->dirfd, "ring", O_RDWR | O_CREAT, 0600);
	w->size = FTRACE_RING_HEADER_SIZE + NPACKETS * FTRACE_PACKET_SIZE;
	assert_int_equal(ftruncate(w->ring_fd, w->size), 0);
	w->ring = mmap(NULL, w->size, PROT_READ | PROT_WRITE, MAP_SHARED, w->ring_fd, 0);
	w->ring->npackets = NPACKETS;
	w->ring->tid = 42;
	w->ring->magic = FTRACE_RING_MAGIC;
	w->time = 5ull << 32;
	w->next = 1;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char command[128];

	munmap(w->ring, w->size);
	close(w->ring_fd);
	close(w->dirfd);
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

/* Begin packet head. Asserts what the drain promised: its slots are unwritten, of this lap. */
static void begin(struct world *w)
{
	uint64_t k = w->ring->head, *records = (uint64_t *)(slot(w, k) + 1);
	struct ftrace_packet *p = slot(w, k);

	if (!w->ring->overwrite) {
		assert_true(k - w->ring->tail < NPACKETS);
		assert_int_equal(p->magic, 0);
		assert_int_equal(p->content_size, 0);
		for (size_t i = 0; i < RECORDS; i++)
			assert_true(records[i] == ftrace_unwritten(k / NPACKETS));
	} else {
		p->magic = 0;
		for (size_t i = 0; i < RECORDS; i++)
			records[i] = ftrace_unwritten(k / NPACKETS);
		memset(p, 0, HEADER);
	}
	p->timestamp_begin = w->time;
	p->events_discarded = w->ring->discarded;
	p->tid = w->ring->tid;
	p->magic = FTRACE_PACKET_MAGIC;
	w->wp = records;
	w->end = records + RECORDS;
	w->open = 1;
}

/* Complete the open packet, but do not count it in head. */
static void seal(struct world *w)
{
	struct ftrace_packet *p = slot(w, w->ring->head);

	if (w->wp < w->end)
		*w->wp++ = ftrace_record(w->time, FTRACE_EVENT_EXTENDED, FTRACE_EXT_PADDING);
	p->timestamp_end = w->time;
	p->packet_size = p->content_size = ((char *)w->wp - (char *)p) * 8;
	w->open = 0;
}

static void complete(struct world *w)
{
	seal(w);
	__atomic_store_n(&w->ring->head, w->ring->head + 1, __ATOMIC_RELEASE);
}

static void put(struct world *w)
{
	w->time += 10;
	if (w->open && (w->wp == w->end ||
			w->time >> 32 != slot(w, w->ring->head)->timestamp_begin >> 32))
		complete(w);
	if (!w->open)
		begin(w);
	*w->wp++ = ftrace_record(w->time, FTRACE_EVENT_FUNCTION, w->next++);
}

static void put_n(struct world *w, unsigned n)
{
	while (n--)
		put(w);
}

/* The sites in the file, one after the other, everything about its packets checked. */
struct contents {
	uint32_t *sites;
	size_t n;
	uint64_t packets, first_seq, discarded, size;
};

static struct contents read_file(struct world *w)
{
	struct contents c = { 0 };
	uint64_t at = 0, last = 0, seq = 0;
	struct ftrace_packet h;
	struct stat st;
	int fd = openat(w->dirfd, "stream-0", O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	c.sites = malloc(st.st_size / 8 * 4 + 4);
	c.size = st.st_size;
	while (at < c.size) {
		assert_int_equal(pread(fd, &h, HEADER, at), HEADER);
		assert_int_equal(h.magic, FTRACE_PACKET_MAGIC);
		assert_int_equal(h.tid, 42);
		assert_true(h.packet_size >= h.content_size && h.packet_size - h.content_size < 4096 * 8);
		assert_true(h.packet_size <= FTRACE_PACKET_SIZE * 8);
		assert_true(h.content_size >= HEADER * 8 && h.content_size <= FTRACE_PACKET_SIZE * 8);
		assert_true(at + h.packet_size / 8 <= c.size);
		assert_true(h.timestamp_begin >= last);
		if (c.packets)
			assert_int_equal(h.packet_seq_num, seq + 1);
		else
			c.first_seq = h.packet_seq_num;
		seq = h.packet_seq_num;
		assert_true(h.events_discarded >= c.discarded);
		c.discarded = h.events_discarded;
		last = h.timestamp_begin;
		for (uint64_t i = HEADER; i < h.content_size / 8; i += 8) {
			uint64_t word, time;

			assert_int_equal(pread(fd, &word, 8, at + i), 8);
			assert_false(ftrace_is_unwritten(word));
			time = (h.timestamp_begin & ~0xffffffffull) | (uint32_t)word;
			assert_true(time >= last && time <= h.timestamp_end);
			last = time;
			c.sites[c.n++] = word >> FTRACE_RECORD_SITE_SHIFT;
		}
		last = h.timestamp_end;
		at += h.packet_size / 8;
		c.packets++;
	}
	close(fd);
	return c;
}

/* The file holds exactly sites @from .. @to - 1. */
static void expect_sites(struct world *w, uint32_t from, uint32_t to)
{
	struct contents c = read_file(w);

	assert_int_equal(c.n, to - from);
	for (size_t i = 0; i < c.n; i++)
		assert_int_equal(c.sites[i], from + i);
	free(c.sites);
}

static void open_drain(struct world *w, struct trace_drain *d)
{
	assert_int_equal(trace_drain_open(d, w->ring_fd, w->dirfd, "stream-0"), 0);
}

static void test_laps(void **state)
{
	struct world *w = *state;
	struct trace_drain d;

	open_drain(w, &d);
	assert_int_equal(trace_drain_packet(&d), 0);
	/* Ten laps, the drain one to three packets behind. */
	for (int i = 0; i < 40; i++) {
		put_n(w, RECORDS);
		while (trace_drain_pending(&d) > (unsigned)i % 3)
			assert_int_equal(trace_drain_packet(&d), 1);
	}
	put_n(w, 100);
	assert_true(trace_drain_rest(&d) >= 1);
	assert_int_equal(d.records, w->next - 1);
	assert_int_equal(d.lost, 0);
	trace_drain_close(&d);
	expect_sites(w, 1, w->next);
}

static void test_time_wraps(void **state)
{
	struct world *w = *state;
	struct trace_drain d;

	open_drain(w, &d);
	for (int i = 0; i < 10; i++) {
		put_n(w, 10);
		w->time += 1ull << 32;
		while (trace_drain_packet(&d) > 0)
			;
	}
	assert_int_equal(trace_drain_rest(&d), 1);
	assert_int_equal(d.packets, 10);
	trace_drain_close(&d);
	expect_sites(w, 1, 101);
}

static void test_nothing_recorded(void **state)
{
	struct world *w = *state;
	struct trace_drain d;

	open_drain(w, &d);
	assert_int_equal(trace_drain_rest(&d), 0);
	trace_drain_close(&d);
	expect_sites(w, 1, 1);
}

static void test_repeated(void **state)
{
	struct world *w = *state;
	struct trace_drain d;

	/* Draining twice, also of the open packet, repeats nothing. */
	put_n(w, RECORDS + 5);
	open_drain(w, &d);
	assert_int_equal(trace_drain_rest(&d), 2);
	trace_drain_close(&d);
	open_drain(w, &d);
	assert_int_equal(trace_drain_rest(&d), 0);
	trace_drain_close(&d);
	expect_sites(w, 1, RECORDS + 6);
}

static void test_killed_while_writing(void **state)
{
	struct world *w = *state;
	struct trace_drain d;
	struct contents c;
	int fd;

	/* A drain that died in the middle of a packet: half of it in the file, tail not moved. */
	put_n(w, 2 * RECORDS + 5);
	open_drain(w, &d);
	assert_int_equal(trace_drain_packet(&d), 1);
	trace_drain_close(&d);
	fd = openat(w->dirfd, "stream-0", O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, slot(w, 1), 1000), 1000);
	close(fd);
	open_drain(w, &d);
	assert_int_equal(trace_drain_rest(&d), 2);
	trace_drain_close(&d);
	expect_sites(w, 1, w->next);

	/* One that died between write and tail: the packet is given back, not written again. */
	w->ring->tail = 1;
	open_drain(w, &d);
	assert_int_equal(trace_drain_packet(&d), 1);
	assert_int_equal(d.packets, 0);
	trace_drain_close(&d);
	c = read_file(w);
	assert_int_equal(c.packets, 3);
	free(c.sites);
}

static void test_writer_died_sealing(void **state)
{
	struct world *w = *state;
	struct trace_drain d;

	/* Sealed, but not counted in head. */
	put_n(w, 100);
	seal(w);
	open_drain(w, &d);
	assert_int_equal(trace_drain_rest(&d), 1);
	trace_drain_close(&d);
	expect_sites(w, 1, 101);
}

static void test_writer_died_beginning(void **state)
{
	struct world *w = *state;
	struct trace_drain d;

	/* A begun packet without a record. */
	put_n(w, 10);
	complete(w);
	begin(w);
	open_drain(w, &d);
	assert_int_equal(trace_drain_rest(&d), 1);
	trace_drain_close(&d);
	expect_sites(w, 1, 11);
}

static void test_holes_and_padding(void **state)
{
	struct world *w = *state;
	struct trace_drain d;
	uint64_t *records = (uint64_t *)(slot(w, 0) + 1);

	/* It should not happen; if it does, one bad slot must not cost the whole stream. */
	put_n(w, 20);
	w->wp += 2;
	put_n(w, 20);
	records[5] = ftrace_unwritten(3);
	complete(w);
	open_drain(w, &d);
	assert_int_equal(trace_drain_packet(&d), 1);
	assert_int_equal(d.records, 39);
	trace_drain_close(&d);
}

static void test_overwrite(void **state)
{
	struct world *w = *state;
	struct trace_drain d;
	struct contents c;

	w->ring->overwrite = 1;
	put_n(w, 9 * RECORDS + 7);
	open_drain(w, &d);
	assert_int_equal(trace_drain_pending(&d), 0);
	assert_int_equal(trace_drain_packet(&d), 0);
	/* Packets 6, 7, 8 and the open one, 9, in a ring of four. */
	assert_int_equal(trace_drain_rest(&d), 4);
	trace_drain_close(&d);
	expect_sites(w, 6 * RECORDS + 1, w->next);
	c = read_file(w);
	assert_int_equal(c.first_seq, 6);
	free(c.sites);
}

static void test_overwrite_not_full(void **state)
{
	struct world *w = *state;
	struct trace_drain d;

	w->ring->overwrite = 1;
	put_n(w, 2 * RECORDS + 7);
	open_drain(w, &d);
	assert_int_equal(trace_drain_rest(&d), 3);
	trace_drain_close(&d);
	expect_sites(w, 1, w->next);
}

static void test_overwrite_stale_head(void **state)
{
	struct world *w = *state;
	struct trace_drain d;

	/* Died before it took the oldest packet back: that one is left out, the others come in order. */
	w->ring->overwrite = 1;
	put_n(w, 6 * RECORDS);
	complete(w);
	open_drain(w, &d);
	assert_int_equal(trace_drain_rest(&d), 3);
	trace_drain_close(&d);
	expect_sites(w, 3 * RECORDS + 1, w->next);
}

static void test_discarded(void **state)
{
	struct world *w = *state;
	struct trace_drain d;
	struct contents c;

	put_n(w, 10);
	complete(w);
	w->ring->discarded = 7;
	put_n(w, 10);
	complete(w);
	w->ring->discarded = 20;
	open_drain(w, &d);
	/* Nothing was recorded after the last loss: an empty packet tells of it. */
	assert_int_equal(trace_drain_rest(&d), 3);
	trace_drain_close(&d);
	c = read_file(w);
	assert_int_equal(c.n, 20);
	assert_int_equal(c.discarded, 20);
	free(c.sites);
}

static void test_skip_counts(void **state)
{
	struct world *w = *state;
	struct trace_drain d;
	struct contents c;

	put_n(w, RECORDS + 1);
	put_n(w, RECORDS);
	open_drain(w, &d);
	assert_int_equal(trace_drain_skip(&d), 1);
	assert_int_equal(d.lost, RECORDS);
	assert_int_equal(trace_drain_rest(&d), 2);
	trace_drain_close(&d);
	expect_sites(w, RECORDS + 1, w->next);
	c = read_file(w);
	assert_int_equal(c.discarded, RECORDS);
	free(c.sites);
}

static void test_disk_full(void **state)
{
	struct rlimit old, limit;
	struct world *w = *state;
	struct trace_drain d;
	struct contents c;

	put_n(w, 2 * RECORDS + 5);
	open_drain(w, &d);
	assert_int_equal(trace_drain_packet(&d), 1);
	/* A file size limit stands for the full disk; it lets half of a packet through. */
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	limit.rlim_cur = d.file_size + FTRACE_PACKET_SIZE / 2;
	setrlimit(RLIMIT_FSIZE, &limit);
	assert_int_equal(trace_drain_packet(&d), -EFBIG);
	assert_int_equal(w->ring->tail, 1);
	c = read_file(w);
	assert_int_equal(c.packets, 1);
	free(c.sites);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(trace_drain_rest(&d), 2);
	trace_drain_close(&d);
	expect_sites(w, 1, w->next);
}

/* A packet as an agent leaves it when it is full: its last slot holds padding. */
static void put_full(struct world *w)
{
	if (w->open)
		complete(w);
	put_n(w, RECORDS - 1);
	complete(w);
}

static void test_several_at_once(void **state)
{
	struct world *w = *state;
	struct trace_drain d;

	open_drain(w, &d);
	put_full(w);
	put_n(w, 7);
	complete(w);
	w->ring->tid = 43;
	put_full(w);
	w->ring->tid = 42;
	put_full(w);
	/* Those of one thread, so that last_tid is right. */
	assert_int_equal(trace_drain_packets(&d, 16), 2);
	assert_int_equal(d.last_tid, 42);
	assert_int_equal(w->ring->tail, 2);
	assert_int_equal(trace_drain_packets(&d, 16), 1);
	assert_int_equal(d.last_tid, 43);
	slot(w, 3)->content_size = 1;
	put_full(w);
	put_full(w);
	/* One that is no packet ends the batch before it, is given back alone, and counted. */
	assert_int_equal(trace_drain_packets(&d, 16), 1);
	assert_int_equal(d.lost, 1);
	assert_int_equal(w->ring->tail, 4);
	assert_int_equal(trace_drain_packets(&d, 1), 1);
	assert_int_equal(trace_drain_packets(&d, 16), 1);
	assert_int_equal(trace_drain_packets(&d, 16), 0);
	assert_int_equal(d.packets, 5);
	assert_int_equal(d.records, 4 * (RECORDS - 1) + 7);
	assert_int_equal(d.calls, d.records);
	trace_drain_close(&d);
}

static void test_room_for_fewer(void **state)
{
	struct rlimit old, limit;
	struct world *w = *state;
	struct trace_drain d;

	put_full(w);
	put_full(w);
	put_full(w);
	open_drain(w, &d);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	limit.rlim_cur = 2 * FTRACE_PACKET_SIZE + 1000;
	setrlimit(RLIMIT_FSIZE, &limit);
	/* Three have no room, and one has; then two have none. */
	assert_int_equal(trace_drain_packets(&d, 16), 1);
	assert_int_equal(trace_drain_packets(&d, 16), 1);
	assert_int_equal(trace_drain_packets(&d, 16), -EFBIG);
	assert_int_equal(w->ring->tail, 2);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(trace_drain_rest(&d), 1);
	trace_drain_close(&d);
	expect_sites(w, 1, w->next);
}

/* Records of any event that are padded, unwritten or neither, at any place: counted as one by one. */
static void test_counts(void **state)
{
	struct world *w = *state;
	uint64_t calls = 0, records = 0;
	struct trace_drain d;

	open_drain(w, &d);
	srand(1);
	for (int i = 0; i < 300; i++) {
		unsigned n = 1 + rand() % 40;

		for (unsigned k = 0; k < n; k++) {
			unsigned event = rand() % 3;

			put(w);
			w->wp[-1] = ftrace_record(w->time, event, rand() % 7 ? w->next : FTRACE_MAX_SITES - 1);
			records++;
			calls += event != FTRACE_EVENT_EXIT;
			if (rand() % 200 == 0) {
				/* A hole, of this lap or of the first, and something behind it. */
				*w->wp++ = ftrace_unwritten(rand() % 2 ? w->ring->head / NPACKETS : 0);
				put(w);
				records++;
				calls++;
			}
		}
		complete(w);
		assert_int_equal(trace_drain_packet(&d), 1);
	}
	assert_int_equal(d.records, records);
	assert_int_equal(d.calls, calls);
	trace_drain_close(&d);
	free(read_file(w).sites);
}

static uint64_t disk_bytes(struct world *w, uint64_t *size)
{
	struct stat st;

	assert_int_equal(fstatat(w->dirfd, "stream-0", &st, 0), 0);
	*size = st.st_size;
	return st.st_blocks * 512ull;
}

/* In a long file full packets begin with a page, whatever came between them. */
static void test_whole_pages(void **state)
{
	struct world *w = *state;
	struct trace_drain d;

	open_drain(w, &d);
	for (int i = 0; i < 12; i++) {
		put_full(w);
		put_n(w, 100 * i + 1);
		complete(w);
		assert_int_equal(trace_drain_packets(&d, 2), 2);
		assert_int_equal(d.file_size % 4096, 0);
	}
	/* Nor is more taken than the pages that are written. */
	assert_true(d.file_size < 12 * FTRACE_PACKET_SIZE + 12 * 4096 + (w->next - 12 * RECORDS) * 8);
	trace_drain_close(&d);
	expect_sites(w, 1, w->next);
}

/* A short file is as short as it can be. */
static void test_short_file(void **state)
{
	struct world *w = *state;
	struct trace_drain d;

	open_drain(w, &d);
	put_n(w, 100);
	complete(w);
	put_n(w, 100);
	assert_int_equal(trace_drain_rest(&d), 2);
	assert_int_equal(d.file_size, 2 * (HEADER + 100 * 8));
	trace_drain_close(&d);
}

static void drain_long_file(struct world *w, struct trace_drain *d)
{
	open_drain(w, d);
	for (int i = 0; i < 40; i++) {
		put_full(w);
		assert_int_equal(trace_drain_packet(d), 1);
	}
}

/* What a file was given ahead is given back, by the drain itself or by the next one. */
static void test_room_ahead(void **state)
{
	struct world *w = *state;
	uint64_t size, room;
	struct trace_drain d;
	int status;
	pid_t pid;

	drain_long_file(w, &d);
	room = disk_bytes(w, &size);
	assert_int_equal(size, d.file_size);
	if (d.not_ahead)
		print_message("[          ] no room was allocated ahead: none free, or not possible in /tmp\n");
	else
		assert_true(room >= d.file_size + (1 << 20));
	trace_drain_close(&d);
	room = disk_bytes(w, &size);
	assert_int_equal(size, 40 * FTRACE_PACKET_SIZE);
	assert_true(room < size + (64 << 10));

	/* One that was killed. */
	unlinkat(w->dirfd, "stream-0", 0);
	pid = fork();
	if (!pid) {
		drain_long_file(w, &d);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	if (!d.not_ahead)
		assert_true(disk_bytes(w, &size) >= size + (1 << 20));
	open_drain(w, &d);
	room = disk_bytes(w, &size);
	assert_int_equal(size, 40 * FTRACE_PACKET_SIZE);
	assert_true(room < size + (64 << 10));
	trace_drain_close(&d);
}

static void test_scribbled(void **state)
{
	struct world *w = *state;
	struct trace_drain d;

	/* A header that makes no sense costs its packet, nothing more. */
	put_n(w, 2 * RECORDS + 5);
	slot(w, 0)->content_size = 1ull << 60;
	open_drain(w, &d);
	assert_int_equal(trace_drain_rest(&d), 2);
	assert_true(d.lost > 0);
	trace_drain_close(&d);
}

static void test_bad_rings(void **state)
{
	struct world *w = *state;
	struct trace_drain d;

	w->ring->magic = 0;
	assert_int_equal(trace_drain_open(&d, w->ring_fd, w->dirfd, "stream-0"), -EAGAIN);
	w->ring->magic = 0x1234;
	assert_int_equal(trace_drain_open(&d, w->ring_fd, w->dirfd, "stream-0"), -EINVAL);
	w->ring->magic = FTRACE_RING_MAGIC;
	w->ring->npackets = 3;
	assert_int_equal(trace_drain_open(&d, w->ring_fd, w->dirfd, "stream-0"), -EINVAL);
	w->ring->npackets = 64;	/* more than the file holds */
	assert_int_equal(trace_drain_open(&d, w->ring_fd, w->dirfd, "stream-0"), -EINVAL);
	w->ring->npackets = 0;
	assert_int_equal(trace_drain_open(&d, w->ring_fd, w->dirfd, "stream-0"), -EINVAL);
}

static void *consume(void *arg)
{
	struct trace_drain *d = arg;

	while (d->records < 200 * RECORDS) {
		int n = trace_drain_packets(d, 3);

		if (n < 0)
			return (void *)1;
		if (n == 0)
			usleep(50);
	}
	return NULL;
}

static void test_beside_the_writer(void **state)
{
	struct world *w = *state;
	struct trace_drain d;
	pthread_t thread;
	void *result;

	open_drain(w, &d);
	assert_int_equal(pthread_create(&thread, NULL, consume, &d), 0);
	for (unsigned i = 0; i < 200 * RECORDS; i++) {
		if (w->open && w->wp == w->end)
			complete(w);
		while (!w->open && w->ring->head - __atomic_load_n(&w->ring->tail, __ATOMIC_ACQUIRE) ==
				   NPACKETS)
			usleep(20);
		put(w);
	}
	complete(w);
	pthread_join(thread, &result);
	assert_null(result);
	trace_drain_close(&d);
	expect_sites(w, 1, w->next);
}

int main(void)
{
#define T(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_laps),
		T(test_time_wraps),
		T(test_nothing_recorded),
		T(test_repeated),
		T(test_killed_while_writing),
		T(test_writer_died_sealing),
		T(test_writer_died_beginning),
		T(test_holes_and_padding),
		T(test_overwrite),
		T(test_overwrite_not_full),
		T(test_overwrite_stale_head),
		T(test_discarded),
		T(test_skip_counts),
		T(test_disk_full),
		T(test_several_at_once),
		T(test_room_for_fewer),
		T(test_counts),
		T(test_whole_pages),
		T(test_short_file),
		T(test_room_ahead),
		T(test_scribbled),
		T(test_bad_rings),
		T(test_beside_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
