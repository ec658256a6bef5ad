/* SPDX-License-Identifier: MIT */
/* One ring: what is written arrives, whoever interrupts the writer, and whatever the recorder does. */
#include "ring-world.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
