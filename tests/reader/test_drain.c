/* SPDX-License-Identifier: MIT */
/* Rings drained into stream files: what was written arrives, whatever the writer has come to. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "drain-world.h"

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
		T(test_counts),
		T(test_scribbled),
		T(test_bad_rings),
		T(test_beside_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
