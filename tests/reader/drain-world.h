/* SPDX-License-Identifier: MIT */
/*
 * A ring, and a writer made of a few lines that plays the traced thread. What must arrive is counted by the writer, not
 * taken from the drain.
 */
#ifndef TESTS_READER_DRAIN_WORLD_H
#define TESTS_READER_DRAIN_WORLD_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

static inline struct ftrace_packet *slot(struct world *w, uint64_t k)
{
	return (void *)((char *)w->ring + FTRACE_RING_HEADER_SIZE + k % NPACKETS * FTRACE_PACKET_SIZE);
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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
static inline void begin(struct world *w)
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
static inline void seal(struct world *w)
{
	struct ftrace_packet *p = slot(w, w->ring->head);

	if (w->wp < w->end)
		*w->wp++ = ftrace_record(w->time, FTRACE_EVENT_EXTENDED, FTRACE_EXT_PADDING);
	p->timestamp_end = w->time;
	p->packet_size = p->content_size = ((char *)w->wp - (char *)p) * 8;
	w->open = 0;
}

static inline void complete(struct world *w)
{
	seal(w);
	__atomic_store_n(&w->ring->head, w->ring->head + 1, __ATOMIC_RELEASE);
}

static inline void put(struct world *w)
{
	w->time += 10;
	if (w->open && (w->wp == w->end ||
			w->time >> 32 != slot(w, w->ring->head)->timestamp_begin >> 32))
		complete(w);
	if (!w->open)
		begin(w);
	*w->wp++ = ftrace_record(w->time, FTRACE_EVENT_FUNCTION, w->next++);
}

static inline void put_n(struct world *w, unsigned n)
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

static inline struct contents read_file(struct world *w)
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
static inline void expect_sites(struct world *w, uint32_t from, uint32_t to)
{
	struct contents c = read_file(w);

	assert_int_equal(c.n, to - from);
	for (size_t i = 0; i < c.n; i++)
		assert_int_equal(c.sites[i], from + i);
	free(c.sites);
}

static inline void open_drain(struct world *w, struct trace_drain *d)
{
	assert_int_equal(trace_drain_open(d, w->ring_fd, w->dirfd, "stream-0"), 0);
}

#endif
