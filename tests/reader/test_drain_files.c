/* SPDX-License-Identifier: MIT */
/* Rings drained into stream files: how files grow, and what a full disk does. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drain-world.h"

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

int main(void)
{
#define T(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_disk_full),
		T(test_several_at_once),
		T(test_room_for_fewer),
		T(test_whole_pages),
		T(test_short_file),
		T(test_room_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
